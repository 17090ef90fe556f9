endings AS (
    SELECT
        coalesce(message_id, event_id) AS message, event_id, subscriber_id, campaign_id, journey_id,
        country_code, event_type AS outcome, event_timestamp AS ended_at, price_millicents AS price,
        0 AS counted_before
    FROM events
    WHERE event_type IN ('_SMS.SUCCESS', '_SMS.FAILURE')
    UNION ALL
    -- How the text was counted before that: maybe on a day that was not asked for.
    SELECT
        coalesce(message_id, event_id), event_id, subscriber_id, campaign_id, journey_id,
        country_code, counted_as, coalesce(counted_at, event_timestamp), counted_price_millicents,
        1
    FROM events
    WHERE event_type IN ('_SMS.SUCCESS', '_SMS.FAILURE') AND counted_as IS NOT NULL
),
messages AS (
    SELECT *
    FROM (
        SELECT
            message, subscriber_id, campaign_id, journey_id, country_code, outcome, ended_at, counted_before,
            max(coalesce(price, 0)) OVER (PARTITION BY message) AS price_millicents,
            row_number() OVER (
                PARTITION BY message
                ORDER BY
                    CASE outcome WHEN '_SMS.SUCCESS' THEN 1 ELSE 2 END, ended_at, counted_before, event_id
            ) AS place
        FROM endings
    ) AS ranked
    WHERE place = 1 AND counted_before = 0
)
