-- One person's texts, answers and opt-outs, in order.
WITH ${events},
${messages},
-- Whose: put SELECT 'v1:...' in place of this; as it stands, of whoever wrote last.
asked AS (
    SELECT max_by(subscriber_id, event_timestamp) AS subscriber_id
    FROM events
    WHERE event_type = '_SMS.RECEIVED'
),
timeline AS (
    SELECT
        ended_at AS happened_at, subscriber_id, CASE outcome WHEN '_SMS.SUCCESS' THEN 'delivered' ELSE 'failed' END AS what,
        campaign_id, journey_id, CAST(NULL AS varchar) AS response_text, price_millicents
    FROM messages
    UNION ALL
    SELECT
        event_timestamp, subscriber_id, CASE event_type WHEN '_SMS.RECEIVED' THEN 'answered' ELSE 'opted out' END,
        campaign_id, journey_id, response_text, CAST(NULL AS bigint)
    FROM events
    WHERE event_type IN ('_SMS.RECEIVED', '_SMS.OPTOUT')
)
SELECT
    date_add('millisecond', happened_at, TIMESTAMP '1970-01-01 00:00:00.000') AS at_utc,
    what,
    campaign_id,
    journey_id,
    response_text,
    price_millicents / 100000e0 AS cost_usd,
    timeline.subscriber_id
FROM timeline
INNER JOIN asked ON asked.subscriber_id = timeline.subscriber_id
ORDER BY happened_at, what
