//! What is sold: packages of prepaid units, by code. Changing one changes purchases to come, and none that was made.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
};
use domain::{credit::package::CreditPackage, product::is_code};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Row as _, postgres::PgRow, types::Json};

impl Store {
    /// All packages, those that are withdrawn too, in the order of the offer, by code.
    pub async fn credit_packages(&self) -> Result<Vec<(String, CreditPackage)>, StoreError> {
        let rows = sqlx::query("select code, terms from credit_packages order by position, code")
            .fetch_all(self.pool())
            .await?;
        let package = |row: &PgRow| Ok((row.try_get("code")?, row.try_get::<Json<CreditPackage>, _>("terms")?.0));
        Ok(rows.iter().map(package).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Sells a package from now on, or changes what it is for purchases to come. Without a place it keeps its own, or comes last.
    ///
    /// # Errors
    /// What is wrong with it, or a plan that there is not.
    pub async fn put_credit_package(
        &self,
        (code, position): (&str, Option<i32>),
        package: &CreditPackage,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !is_code(code) {
            return Err(StoreError::invalid("code", "A code is 1 to 64 lower-case letters, digits and inner hyphens"));
        }
        if let Some(problem) = package.problems().into_iter().next() {
            return Err(StoreError::invalid(problem.field, problem.message));
        }
        let mut tx = self.begin().await?;
        let unknown: Option<String> = sqlx::query_scalar(
            "select code from unnest($1::text[]) as named (code) where code not in (select plans.code from plans) limit 1",
        )
        .bind(&package.plans)
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(unknown) = unknown {
            return Err(StoreError::invalid("plans", format!("There is no plan {unknown:?}")));
        }
        // Of two who put the same new one at once the later one sees the earlier one's.
        sqlx::query("lock table credit_packages in share row exclusive mode").execute(&mut *tx).await?;
        let before: Option<Json<CreditPackage>> =
            sqlx::query_scalar("select terms from credit_packages where code = $1")
                .bind(code)
                .fetch_optional(&mut *tx)
                .await?;
        sqlx::query(
            "insert into credit_packages (code, terms, position, updated_at)
             values ($1, $2, coalesce($3, (select coalesce(max(position), 0) + 1 from credit_packages)), $4)
             on conflict (code) do update set terms = excluded.terms, position = coalesce($3, credit_packages.position),
                 updated_at = excluded.updated_at",
        )
        .bind(code)
        .bind(Json(package))
        .bind(position)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        let entry = Entry {
            before: before.map(|Json(before)| json!(before)),
            ..Entry::new(actor, None, "credit.package", code)
        };
        audit::append(&mut tx, entry.after(json!(package)), now).await?;
        tx.commit().await?;
        Ok(())
    }
}
