-- Texts that ended, and how, by campaign and country. Each text counts once: as delivered if anything said
-- so, else as failed, on the day of what said so first.
WITH ${events},
${messages}
SELECT
    campaign_id,
    country_code,
    count(*) AS ended,
    count_if(outcome = '_SMS.SUCCESS') AS delivered,
    count_if(outcome = '_SMS.FAILURE') AS failed,
    round(100e0 * count_if(outcome = '_SMS.SUCCESS') / count(*), 2) AS delivery_rate_percent
FROM messages
GROUP BY campaign_id, country_code
ORDER BY ended DESC, campaign_id, country_code
