SELECT
    episode, definition, asset, kind, revision, title, severity, state,
    raised_at, closed_at, at AS changed_at,
    acknowledged, acknowledged_by, acknowledged_at,
    muted, withdrawn, message, value, limit_value, answer,
    {seconds_to_acknowledge} AS seconds_to_acknowledge,
    {seconds_open} AS seconds_open
FROM (
    SELECT
        one.*,
        ROW_NUMBER() OVER (PARTITION BY one.episode ORDER BY {number} DESC) AS age,
        MIN(CASE WHEN one.transition IN ('acknowledged', 'confirmed') THEN one.at END)
            OVER (PARTITION BY one.episode) AS acknowledged_at,
        FIRST_VALUE(CASE WHEN one.transition = 'feedback' THEN one.reason END) OVER (
            PARTITION BY one.episode
            ORDER BY CASE WHEN one.transition = 'feedback' THEN 0 ELSE 1 END, {number} DESC
        ) AS answer
    FROM {changes} AS one
) AS numbered
WHERE age = 1
