copies AS (
    SELECT
        coalesce(
            event_id,
            message_id || coalesce(
                event_id_ending,
                CASE event_type
                    WHEN '_SMS.RECEIVED' THEN ''
                    WHEN '_SMS.OPTOUT' THEN '/optout'
                    ELSE '/' || substr(event_type, 6) || '/' || coalesce(record_status, '')
                END
            )
        ) AS event_id,
        ${columns},
        year, month, day
    FROM ${raw}
    -- The days asked for, as 20260301 AND 20260531, here and once more below: no other is read.
    WHERE year * 10000 + month * 100 + day
        BETWEEN ${first_day}
        AND ${last_day}
    UNION ALL
    SELECT
        event_id,
        ${columns},
        year, month, day
    FROM ${compacted}
    WHERE year * 10000 + month * 100 + day
        BETWEEN ${first_day}
        AND ${last_day}
),
events AS (
    SELECT *
    FROM (
        SELECT
            *,
            row_number() OVER (
                PARTITION BY event_id ORDER BY archived_at, event_timestamp, arrival_timestamp
            ) AS nth
        FROM copies
    ) AS numbered
    WHERE nth = 1
)
