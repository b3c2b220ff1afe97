-- What each ward costs, and how many people it sees. The tokens alone tell them apart: nothing is recovered.
SELECT
    v.ward,
    count(*) AS visits,
    count(DISTINCT v.ssn) AS patients,
    count(DISTINCT v.ssn) FILTER (p.born < DATE '1964-01-01') AS over_60,
    sum(v.cost) // 100 AS cost
FROM visits v
JOIN patients p USING (ssn)
GROUP BY v.ward
ORDER BY cost DESC;
