-- Of the people whose first delivered text was in a week: how many answered, and how many opted out, within
-- 7 and within 30 days of it. First among the days asked for: begin when the first campaign did.
WITH ${events},
${messages},
firsts AS (
    SELECT subscriber_id, min(ended_at) AS first_at
    FROM messages
    WHERE outcome = '_SMS.SUCCESS'
    GROUP BY subscriber_id
),
people AS (
    SELECT
        firsts.subscriber_id,
        firsts.first_at,
        min(CASE event_type WHEN '_SMS.RECEIVED' THEN event_timestamp END) - firsts.first_at AS answered_after,
        min(CASE event_type WHEN '_SMS.OPTOUT' THEN event_timestamp END) - firsts.first_at AS opted_out_after
    FROM firsts
    LEFT JOIN events
        ON events.subscriber_id = firsts.subscriber_id
        -- An answer may be quicker than the receipt of the text that it answers: an hour, here.
        AND events.event_timestamp >= firsts.first_at - 3600000
        AND events.event_type IN ('_SMS.RECEIVED', '_SMS.OPTOUT')
    GROUP BY firsts.subscriber_id, firsts.first_at
),
dated AS (
    SELECT
        CAST(
            date_trunc(
                'week',
                CAST(
                    date_add('day', CAST(floor(first_at / 86400000e0) AS bigint), DATE '1970-01-01') AS date
                )
            ) AS date
        ) AS week,
        answered_after, opted_out_after
    FROM people
)
-- Seven and thirty days in milliseconds, written out: their product is more than an integer holds.
SELECT
    week,
    count(*) AS people,
    count(CASE WHEN answered_after <= 604800000 THEN 1 END) AS answered_in_7_days,
    count(CASE WHEN answered_after <= 2592000000 THEN 1 END) AS answered_in_30_days,
    count(CASE WHEN opted_out_after <= 604800000 THEN 1 END) AS opted_out_in_7_days,
    count(CASE WHEN opted_out_after <= 2592000000 THEN 1 END) AS opted_out_in_30_days
FROM dated
GROUP BY week
ORDER BY week
