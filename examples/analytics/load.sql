-- The dimension: an ordinary table in an ordinary DuckDB file, that never sees a value.
CREATE TABLE patients AS FROM read_csv('tokens/patients.csv');
