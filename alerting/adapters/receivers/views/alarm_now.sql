SELECT * FROM {alarm_history} AS history WHERE closed_at IS NULL AND NOT withdrawn
