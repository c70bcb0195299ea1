//! The policy form of one operation.

use super::typed::Typed;
use crate::form::Failure;
use domain::policy::{Cost, FeatureGate, OperationPolicy, ParameterGate, Policy};
use std::collections::HashMap;

/// Rows that the form has for gates at most.
const MOST_GATES: usize = 50;

/// The policy with what the form says of this operation.
pub(super) fn read(texts: &HashMap<String, String>, mut policy: Policy, code: &str) -> Result<Policy, Failure> {
    let mut typed = Typed::new(texts);
    let own = OperationPolicy {
        idempotency_key: typed.named("idempotency_key"),
        scope: typed.some_text("scope"),
        gates: gates(&typed),
        cost: cost(&mut typed),
        never_cached: typed.is_ticked("never_cached"),
        total_timeout_ms: typed.number("total_timeout_ms"),
    };
    if own == OperationPolicy::default() {
        policy.operations.remove(code);
    } else {
        policy.operations.insert(code.to_owned(), own);
    }
    let place = format!("operations.{code}.");
    let mut problems = policy.problems();
    for problem in &mut problems {
        if let Some(field) = problem.field.strip_prefix(&place) {
            problem.field = field.to_owned();
        }
    }
    typed.check(problems)?;
    Ok(policy)
}

fn gates(typed: &Typed<'_>) -> Vec<FeatureGate> {
    let gate = |row: usize| {
        let feature = typed.some_text(&format!("gates.{row}.feature"))?;
        let parameter = typed
            .some_text(&format!("gates.{row}.parameter.name"))
            .map(|name| ParameterGate { name, values: typed.list(&format!("gates.{row}.parameter.values")) });
        Some(FeatureGate { feature, parameter })
    };
    (0..MOST_GATES).filter_map(gate).collect()
}

fn cost(typed: &mut Typed<'_>) -> Option<Cost> {
    let reserve = typed.number("cost.reserve").unwrap_or(1);
    match typed.text("cost") {
        "header" => Some(Cost::Header { name: typed.text("cost.header").to_owned(), reserve }),
        "json_field" => Some(Cost::JsonField { pointer: typed.text("cost.pointer").to_owned(), reserve }),
        "bytes" => Some(Cost::Bytes { per: typed.number("cost.per").unwrap_or(0), reserve }),
        "milliseconds" => Some(Cost::Milliseconds { per: typed.number("cost.per").unwrap_or(0), reserve }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::policy::IdempotencyKey;

    #[test]
    fn a_form_becomes_a_policy_of_the_operation_and_an_empty_one_none() {
        let texts: HashMap<String, String> = [
            ("idempotency_key", "required"),
            ("gates.1.feature", "instant"),
            ("gates.1.parameter.name", "speed"),
            ("gates.1.parameter.values", "now, soon"),
            ("cost", "bytes"),
            ("cost.per", "1,024"),
        ]
        .map(|(field, text)| (field.to_owned(), text.to_owned()))
        .into();
        let policy = read(&texts, Policy::default(), "pay").expect("a policy");
        let own = policy.operation("pay").expect("is there");
        assert_eq!(own.idempotency_key, IdempotencyKey::Required);
        assert_eq!(own.cost, Some(Cost::Bytes { per: 1024, reserve: 1 }));
        let gate = own.gates[0].parameter.as_ref().expect("a parameter");
        assert_eq!((gate.name.as_str(), &gate.values[..]), ("speed", &["now".to_owned(), "soon".to_owned()][..]));
        assert_eq!(read(&HashMap::new(), policy, "pay").expect("a policy"), Policy::default());
    }
}
