-- How much of a fee that was billed in advance another invoice gave back: a credit note on the fee's own invoice and what a change of
-- plan gives back are never more together than was billed.
alter table advance_fees add column given_back_micros bigint not null default 0 check (given_back_micros >= 0);
