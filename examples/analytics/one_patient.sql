-- One patient's last visits: the value is looked up, and its token is what the rows are compared with.
SELECT visit, day, ward, cost
FROM visits
WHERE ssn = token_of('998-29-0595')
ORDER BY day DESC, visit DESC
LIMIT 3;
