-- PostgreSQL keeps every field of a call in a column of its own; SQLite's table is changed.

SELECT 1;
