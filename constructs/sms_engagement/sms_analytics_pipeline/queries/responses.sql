-- Answers and opt-outs per delivered text, by campaign. An opt-out by text is an answer, too.
WITH ${events},
${messages},
counted AS (
    SELECT campaign_id, 1 AS delivered, 0 AS response, 0 AS opt_out, CAST(NULL AS varchar) AS answered_by
    FROM messages
    WHERE outcome = '_SMS.SUCCESS'
    UNION ALL
    SELECT
        campaign_id,
        0,
        CASE event_type WHEN '_SMS.RECEIVED' THEN 1 ELSE 0 END,
        CASE event_type WHEN '_SMS.OPTOUT' THEN 1 ELSE 0 END,
        CASE event_type WHEN '_SMS.RECEIVED' THEN subscriber_id END
    FROM events
    WHERE event_type IN ('_SMS.RECEIVED', '_SMS.OPTOUT')
)
SELECT
    campaign_id,
    sum(delivered) AS delivered,
    sum(response) AS responses,
    count(DISTINCT answered_by) AS people_who_answered,
    sum(opt_out) AS opt_outs,
    round(100e0 * sum(response) / nullif(sum(delivered), 0), 2) AS response_rate_percent,
    round(100e0 * sum(opt_out) / nullif(sum(delivered), 0), 2) AS opt_out_rate_percent
FROM counted
GROUP BY campaign_id
ORDER BY delivered DESC, campaign_id
