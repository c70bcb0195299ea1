//! What was billed and what of it is not earned, from the documents themselves: it shares no code with the journal, and looks neither at
//! it nor, but for refunds that no document tells, at the ledger.

use super::TestStore;
use crate::Ts;
use domain::id::PartnerId;
use jiff::Timestamp;
use sqlx::Row as _;

/// Of one partner and currency, in micro-units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Billed {
    pub partner: PartnerId,
    pub currency: String,
    /// Invoices and paid grants, less credit notes, voids and refunds.
    pub billed: i64,
    /// Of that, what is not earned.
    pub deferred: i64,
    /// What is invoiced and not paid.
    pub receivable: i64,
}

const BY_DOCUMENTS: &str = "
    with known as (
        select i.*, coalesce(n.credited, 0) as credited, coalesce(n.credited_unpaid, 0) as credited_unpaid,
            coalesce(f.given_back_micros, 0) as given_back,
            i.created_at < $1 as is_invoiced
        from invoices i
        left join (
            select invoice_id, sum(total_micros) as credited, sum(total_micros) filter (where not was_paid) as credited_unpaid
            from credit_notes where kind = 'credit' and state = 'issued' group by 1
        ) n on n.invoice_id = i.id
        left join advance_fees f on f.invoice_id = i.id
        where i.created_at < $1
            or not i.in_advance and not i.stands_alone and i.period_end <= $1 and i.created_at < $1 + interval '6 hours'
    ), parts as (
        -- What a void leaves is what was taken off before it.
        select partner_id, currency,
            case when status = 'void' then given_back else total_micros - credited end as billed,
            0 as deferred,
            case when not is_invoiced or status = 'paid' then 0 when status = 'void' then given_back
                else total_micros - credited_unpaid end as receivable
        from known
        union all
        select partner_id, currency, cost_micros, 0, 0 from credit_grants
        where cost_micros is not null and not is_invoiced and usable_since < $1
        union all
        select t.partner_id, e.currency, e.amount_micros, 0, 0 from ledger_transactions t join ledger_entries e on e.transaction_id = t.id
        where t.description = 'Refund of prepaid credit' and e.account = 'cash'
        union all
        -- Fees: what is left of the price, by what is left of the time.
        select partner_id, currency, 0, case
                when ran_until < period_end and ran_until <= $1 and is_given_back then 0
                when ran_until < period_end and ran_until <= $1 then
                    case when $1 >= period_end and abs(price - by_time) <= 10000 then 0 else price - by_time end
                when $1 >= period_end then 0
                else price - by_time end, 0
        from (
            select f.partner_id, f.currency, f.period_end, price, b.id is not null as is_given_back, coalesce(s.ended_at, 'infinity') as ran_until,
                round(price * extract(epoch from least($1, case when s.ended_at <= $1 then s.ended_at end, f.period_end) - f.period_start)
                    / extract(epoch from f.period_end - f.period_start) / 10000) * 10000 as by_time
            from advance_fees f
            join known k on k.id = f.invoice_id and k.is_invoiced
            join subscriptions s on s.id = f.subscription_id
            left join known b on b.id = f.given_back_by
            cross join lateral (
                select case when k.status = 'void' then 0
                    else f.fee_micros - f.coupon_micros - k.credited - case when b.id is null then 0 else f.given_back_micros end end as price
            ) p
        ) fees
        union all
        -- Units that are not paid yet, and those that are left.
        select p.partner_id, p.currency, 0, case when k.status in ('paid', 'void') then 0 else p.cost_micros end, 0
        from credit_purchases p join known k on k.id = p.invoice_id
        union all
        select partner_id, currency, 0, ceil((cost_micros - floor(cost_micros::numeric * (units - left_units - allocated_units) / units)) / 10000) * 10000, 0
        from credit_grants where cost_micros is not null and usable_since < $1
    )
    select partner_id, currency, sum(billed)::bigint as billed, sum(deferred)::bigint as deferred, sum(receivable)::bigint as receivable
    from parts group by 1, 2 order by 1, 2";

impl TestStore {
    /// How each partner stands at the end of a day (UTC). Only where nothing but invoices of periods that ended by then was made since.
    pub async fn billed_by_documents(&self, end: Timestamp) -> Vec<Billed> {
        let rows = sqlx::query(BY_DOCUMENTS).bind(Ts(end)).fetch_all(self.store.pool()).await.expect("sums");
        let billed = rows.iter().map(|row| Billed {
            partner: PartnerId(row.get("partner_id")),
            currency: row.get("currency"),
            billed: row.get("billed"),
            deferred: row.get("deferred"),
            receivable: row.get("receivable"),
        });
        billed.collect()
    }
}
