SELECT
    week, definition, asset,
    COUNT(*) AS alarms,
    SUM(CASE WHEN severity IN ('high', 'critical') THEN 1 ELSE 0 END) AS high_alarms,
    SUM(CASE WHEN acknowledged_at IS NOT NULL THEN 1 ELSE 0 END) AS acknowledged_alarms,
    SUM(CASE WHEN closed_at IS NULL THEN 1 ELSE 0 END) AS open_alarms,
    SUM(CASE WHEN answer LIKE 'false alarm%' THEN 1 ELSE 0 END) AS false_alarms,
    AVG(seconds_to_acknowledge) AS mean_seconds_to_acknowledge,
    SUM(seconds_open) AS seconds_open
FROM (SELECT history.*, {monday} AS week FROM {alarm_history} AS history) AS dated
WHERE NOT withdrawn
GROUP BY week, definition, asset
