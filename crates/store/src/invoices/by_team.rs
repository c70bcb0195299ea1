//! What of an invoice's lines is each team's, written with the invoice and never changed.

use super::{NewInvoiceLine, WithLines};
use crate::{StoreError, row::ReadRow as _};
use domain::{
    id::{InvoiceId, PartnerId, TeamId},
    money::Money,
};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool, Row as _};
use std::collections::HashMap;
use uuid::Uuid;

/// One team's part of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineTeam {
    /// `None` for usage of no team.
    pub team: Option<TeamId>,
    /// As the team was called when the invoice was made; empty for usage of no team.
    pub name: String,
    /// Units. Below zero where an adjustment takes some back.
    pub quantity: i64,
    /// Of those, how many were free.
    pub free: u64,
    /// Of those, how many prepaid credit paid.
    pub prepaid: u64,
    /// In whole coins of the currency.
    pub amount: Money,
}

impl LineTeam {
    /// What people read in its place.
    pub fn label(&self) -> &str {
        match self.team {
            None => "No team",
            Some(_) if self.name.is_empty() => "Deleted team",
            Some(_) => &self.name,
        }
    }
}

/// Refuses parts that are not those of their line.
pub(super) fn check(lines: &[NewInvoiceLine]) -> Result<(), StoreError> {
    for line in lines.iter().filter(|line| !line.teams.is_empty()) {
        let sum = |of: fn(&LineTeam) -> i128| line.teams.iter().map(of).sum::<i128>();
        let adds_up = sum(|part| part.quantity.into()) == line.quantity.into()
            && sum(|part| part.free.into()) == line.free.into()
            && sum(|part| part.prepaid.into()) == line.prepaid.into()
            && sum(|part| part.amount.micros.into()) == line.amount.micros.into()
            && line.teams.iter().all(|part| part.amount.currency == line.amount.currency);
        if !adds_up {
            return Err(StoreError::invalid("teams", "The teams' parts of a line add up to it"));
        }
    }
    Ok(())
}

/// Writes the parts of the lines, which are there already.
pub(super) async fn insert(
    connection: &mut PgConnection,
    (partner, invoice): (PartnerId, InvoiceId),
    lines: &[NewInvoiceLine],
) -> Result<(), StoreError> {
    let parts: Vec<(i32, &LineTeam)> =
        (0_i32..).zip(lines).flat_map(|(position, line)| line.teams.iter().map(move |part| (position, part))).collect();
    if parts.is_empty() {
        return Ok(());
    }
    let at_most = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query(
        "insert into invoice_line_teams (partner_id, invoice_id, position, team_id, team_name, quantity, free, prepaid, amount_micros)
         select $1, $2, * from unnest($3::int[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])",
    )
    .bind(partner.0)
    .bind(invoice.0)
    .bind(parts.iter().map(|(position, _)| *position).collect::<Vec<_>>())
    .bind(parts.iter().map(|(_, part)| part.team.map(|id| id.0).unwrap_or_default()).collect::<Vec<_>>())
    .bind(parts.iter().map(|(_, part)| part.name.as_str()).collect::<Vec<_>>())
    .bind(parts.iter().map(|(_, part)| part.quantity).collect::<Vec<_>>())
    .bind(parts.iter().map(|(_, part)| at_most(part.free)).collect::<Vec<_>>())
    .bind(parts.iter().map(|(_, part)| at_most(part.prepaid)).collect::<Vec<_>>())
    .bind(parts.iter().map(|(_, part)| part.amount.micros).collect::<Vec<_>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds what is kept of them to lines that were read, by name.
pub(super) async fn add(pool: &PgPool, invoices: &mut [WithLines]) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "select t.invoice_id, t.position, t.team_id, t.team_name, t.quantity, t.free, t.prepaid, t.amount_micros
         from unnest($1::uuid[], $2::uuid[]) as wanted (partner_id, invoice_id)
         join invoice_line_teams t on t.partner_id = wanted.partner_id and t.invoice_id = wanted.invoice_id
         order by t.team_id = '00000000-0000-0000-0000-000000000000', lower(t.team_name), t.team_id",
    )
    .bind(invoices.iter().map(|(invoice, _)| invoice.partner.0).collect::<Vec<_>>())
    .bind(invoices.iter().map(|(invoice, _)| invoice.id.0).collect::<Vec<_>>())
    .fetch_all(pool)
    .await?;
    let mut of: HashMap<(Uuid, i32), Vec<LineTeam>> = HashMap::new();
    let currencies: HashMap<Uuid, _> =
        invoices.iter().map(|(invoice, _)| (invoice.id.0, invoice.total.currency)).collect();
    for row in &rows {
        let invoice: Uuid = row.try_get("invoice_id")?;
        let Some(currency) = currencies.get(&invoice) else { continue };
        of.entry((invoice, row.try_get("position")?)).or_default().push(LineTeam {
            team: Some(row.try_get::<Uuid, _>("team_id")?).filter(|id| !id.is_nil()).map(TeamId),
            name: row.try_get("team_name")?,
            quantity: row.try_get("quantity")?,
            free: row.count("free")?,
            prepaid: row.count("prepaid")?,
            amount: Money::new(*currency, row.try_get("amount_micros")?),
        });
    }
    for (invoice, lines) in invoices {
        for line in lines {
            line.teams = of.remove(&(invoice.id.0, line.position)).unwrap_or_default();
        }
    }
    Ok(())
}
