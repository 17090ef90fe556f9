-- What texts cost, without the carriers' fees, by day, campaign and country; per delivered text, and per
-- answer of that day.
WITH ${events},
${messages},
counted AS (
    SELECT
        ended_at AS happened_at, campaign_id, country_code, 1 AS ended,
        CASE outcome WHEN '_SMS.SUCCESS' THEN 1 ELSE 0 END AS delivered, 0 AS response, price_millicents
    FROM messages
    UNION ALL
    SELECT event_timestamp, campaign_id, country_code, 0, 0, 1, 0
    FROM events
    WHERE event_type = '_SMS.RECEIVED'
),
dated AS (
    SELECT
        CAST(
            date_add('day', CAST(floor(happened_at / 86400000e0) AS bigint), DATE '1970-01-01') AS date
        ) AS day,
        campaign_id, country_code, ended, delivered, response, price_millicents
    FROM counted
)
SELECT
    day,
    campaign_id,
    country_code,
    sum(ended) AS texts,
    sum(delivered) AS delivered,
    sum(response) AS responses,
    sum(price_millicents) / 100000e0 AS cost_usd,
    sum(price_millicents) / 100000e0 / nullif(sum(delivered), 0) AS usd_per_delivered_text,
    sum(price_millicents) / 100000e0 / nullif(sum(response), 0) AS usd_per_response
FROM dated
GROUP BY day, campaign_id, country_code
ORDER BY day, cost_usd DESC, campaign_id, country_code
