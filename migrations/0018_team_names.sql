-- Teams are told apart by their names, whatever the capitals.
create unique index teams_by_name on teams (partner_id, lower(name));
