-- The entries of a transaction are found by the partner first, as the key has them: without it each posting read the whole ledger.
create or replace function ledger_sums_to_zero() returns trigger language plpgsql as $$
begin
    if exists (
        select 1 from ledger_entries where partner_id = new.partner_id and transaction_id = new.transaction_id
        group by currency having sum(amount_micros) <> 0
    ) then
        raise exception 'ledger transaction % does not sum to zero', new.transaction_id using errcode = 'check_violation';
    end if;
    return null;
end $$;
