-- A move is ordered as it was shown: for the partners who were shown, and with its notice counted so that whoever is told soon has the date
-- that was shown.

-- Null in a move that was ordered before: it is for whoever had the plan by then, each with its notice from when it is told.
alter table plan_moves add column notice_from timestamptz;

create table plan_move_holders (
    move_id            uuid not null references plan_moves (id),
    partner_id         uuid not null references partners (id),
    primary key (move_id, partner_id)
);
