-- Texts that ended, and how, by campaign and country. Each text counts once: as delivered if anything said
-- so, else as failed, on the day of what said so first.
WITH ${events},
${messages}
SELECT
    campaign_id,
    country_code,
    count(*) AS ended,
    count(CASE WHEN outcome = '_SMS.SUCCESS' THEN 1 END) AS delivered,
    count(CASE WHEN outcome = '_SMS.FAILURE' THEN 1 END) AS failed,
    round(100e0 * count(CASE WHEN outcome = '_SMS.SUCCESS' THEN 1 END) / count(*), 2) AS delivery_rate_percent
FROM messages
GROUP BY campaign_id, country_code
ORDER BY ended DESC, campaign_id, country_code
