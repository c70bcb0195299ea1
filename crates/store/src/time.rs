//! `jiff::Timestamp` as Postgres' `timestamptz`, to the microsecond.

use jiff::Timestamp;
use sqlx::{
    Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef},
};

/// An instant on its way into or out of the database: `.bind(Ts(now))`, `row.try_get::<Ts, _>("at")?.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ts(pub Timestamp);

/// Postgres counts from 2000-01-01T00:00:00Z.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

impl From<Timestamp> for Ts {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Type<Postgres> for Ts {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamptz")
    }
}

impl PgHasArrayType for Ts {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("_timestamptz")
    }
}

impl Encode<'_, Postgres> for Ts {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(self.0.as_microsecond() - EPOCH_MICROS, buffer)
    }

    fn size_hint(&self) -> usize {
        size_of::<i64>()
    }
}

impl Decode<'_, Postgres> for Ts {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        match value.format() {
            PgValueFormat::Binary => {
                let micros = <i64 as Decode<Postgres>>::decode(value)?;
                let since_1970 = micros.checked_add(EPOCH_MICROS).ok_or("the instant leaves the calendar")?;
                Ok(Self(Timestamp::from_microsecond(since_1970)?))
            }
            PgValueFormat::Text => Ok(Self(value.as_str()?.parse()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ts;
    use crate::test_db;
    use jiff::Timestamp;
    use sqlx::Row;

    #[tokio::test]
    async fn instants_come_back_to_the_microsecond_and_postgres_reads_the_same_text() {
        let store = test_db::store().await;
        for text in ["2026-03-29T01:30:00.123456Z", "1969-12-31T23:59:59.999999Z", "2000-01-01T00:00:00Z"] {
            let at: Timestamp = text.parse().expect("a timestamp");
            let row = sqlx::query("select $1::timestamptz as at, $1 = $2::text::timestamptz as same")
                .bind(Ts(at))
                .bind(text)
                .fetch_one(store.pool())
                .await
                .expect("a row");
            assert_eq!(row.get::<Ts, _>("at").0, at);
            assert!(row.get::<bool, _>("same"), "{text}");
        }
    }

    #[tokio::test]
    async fn arrays_and_nulls_are_understood() {
        let store = test_db::store().await;
        let at = Timestamp::from_second(1_800_000_000).expect("in range");
        let row = sqlx::query("select ($1::timestamptz[])[2] as at, $2::timestamptz as nothing")
            .bind(vec![Ts(Timestamp::UNIX_EPOCH), Ts(at)])
            .bind(None::<Ts>)
            .fetch_one(store.pool())
            .await
            .expect("a row");
        assert_eq!(row.get::<Ts, _>("at").0, at);
        assert_eq!(row.get::<Option<Ts>, _>("nothing"), None);
    }
}
