SELECT names.definition, newest.title, newest.kind
FROM (SELECT DISTINCT definition FROM {definitions} AS every_row) AS names
LEFT JOIN (
    SELECT
        one.definition, one.title, one.kind,
        ROW_NUMBER() OVER (PARTITION BY one.definition ORDER BY one.revision DESC, one.at DESC) AS age
    FROM {changes} AS one
) AS newest ON newest.definition = names.definition AND newest.age = 1
