-- Whoever traces a request asks for what was told late with its id, of every partner.
create index usage_adjustments_by_id on usage_adjustments (id) where node is null and correction_id is null;
