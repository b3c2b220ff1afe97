-- The ten patients who cost most, found by their tokens, and only then asked for by name.
WITH dearest AS (
    SELECT ssn, count(*) AS visits, sum(cost) // 100 AS cost
    FROM visits
    WHERE ssn IS NOT NULL
    GROUP BY ssn
    ORDER BY sum(cost) DESC
    LIMIT 10
)
SELECT detokenize(p.name) AS name, detokenize(ssn) AS ssn, d.visits, d.cost
FROM dearest d
JOIN patients p USING (ssn)
ORDER BY d.cost DESC;
