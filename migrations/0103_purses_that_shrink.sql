-- Whoever lowers what gateways spend from holds their allowance first. A server of the version before does not lock the allowances of purses
-- (migration 0102) when it books that a grant of one expires; so the database does.

create function hold_allowance_of_purse() returns trigger language plpgsql as $$
begin
    perform from allowances a where a.partner_id = new.allocation_id and a.kind = 'credit' for update;
    return new;
end $$;
create trigger credit_allocation_balances_held before update of units on credit_allocation_balances for each row
    when (new.units < old.units) execute function hold_allowance_of_purse();
