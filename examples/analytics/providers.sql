-- What only the values can tell, for everyone at once: the different tokens are sent in large requests.
SELECT split_part(e.value, '@', 2) AS provider, count(*) AS patients
FROM patients p
JOIN vault.revealed('SELECT email FROM patients') e ON e.token = p.email
GROUP BY provider
ORDER BY patients DESC;
