-- What Stripe credited on a threshold invoice that was void here was over before 0081, and nobody took it off any more. The next comparison
-- with Stripe looks at each once more: what was not paid is carried where its period is open, and told to a person where it is closed.
update stripe_returns r set state = 'undecided'
from invoices i
where i.partner_id = r.partner_id and i.id = r.invoice_id and i.status = 'void' and i.threshold_number > 0
    and r.kind = 'credit_note' and r.state = 'over' and not r.is_carried and r.problem = '';
