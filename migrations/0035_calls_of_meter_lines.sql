-- How many calls the line of a meter counts: a percentage has a fixed part for each, and what comes late is rated beside the bill as it
-- was made. Lines from before have none; for those what is stored by then is counted.
alter table invoice_lines add column calls bigint check (calls >= 0);
