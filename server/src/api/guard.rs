//! The door of the REST API: finds the token, holds it against the list, and leaves the proof in the request.

use super::{
    access::{self, Rule, Whose},
    problem::Problem,
};
use app::state::AppState;
use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use domain::{
    id::{PartnerId, TokenId},
    key_text::{KeyKind, KeyText},
    scope::Scope,
};
use jiff::Timestamp;
use store::Actor;

/// Who calls, proven by a token of theirs.
#[derive(Debug, Clone)]
pub struct Token {
    pub id: TokenId,
    pub name: String,
    /// `None` for the provider's.
    pub partner: Option<PartnerId>,
    pub scopes: Vec<Scope>,
}

/// A call for one partner: its own token's, or the provider's that names the partner.
pub struct PartnerCall {
    pub state: AppState,
    pub partner: PartnerId,
    pub token: Token,
    pub now: Timestamp,
}

/// A call for what partners and the provider see differently.
pub struct PartnerOrProvider {
    pub state: AppState,
    /// `None` where the provider names no partner.
    pub partner: Option<PartnerId>,
    /// Whether the token is the partner's own.
    pub is_partner: bool,
}

/// A call of the provider.
pub struct ProviderCall {
    pub state: AppState,
    pub token: Token,
    pub now: Timestamp,
}

impl Token {
    /// On whose behalf the audit log notes a change.
    pub const fn actor(&self) -> Actor {
        Actor::Token(self.id)
    }
}

/// Lets through what the list allows.
pub async fn guard(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let rule = rule_of(&request);
    let text = token_text(request.headers());
    match authorize(&state, rule, text).await {
        Ok(token) => {
            request.extensions_mut().insert(token);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn rule_of(request: &Request) -> Option<&'static Rule> {
    let path = request.extensions().get::<MatchedPath>()?;
    access::find(request.method(), path.as_str())
}

/// What was sent as a token, if it has the form of one of ours.
fn token_text(headers: &HeaderMap) -> Option<KeyText> {
    let (scheme, text) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let text = KeyText::parse(text.trim()).ok()?;
    (scheme.eq_ignore_ascii_case("bearer") && text.kind() == KeyKind::Api).then_some(text)
}

async fn authorize(state: &AppState, rule: Option<&Rule>, text: Option<KeyText>) -> Result<Token, Problem> {
    let rule = rule.ok_or_else(Problem::not_found)?;
    let token = authenticate(state, &text.ok_or_else(Problem::unauthorized)?).await?;
    if rule.whose == Whose::Provider && token.partner.is_some() {
        return Err(Problem::forbidden("This is for the provider's tokens only."));
    }
    match rule.wanted(token.partner.is_none()).find(|scope| !token.scopes.contains(scope)) {
        Some(scope) => Err(Problem::forbidden(format!("The token lacks the scope {scope}. Make one that has it."))),
        None => Ok(token),
    }
}

async fn authenticate(state: &AppState, text: &KeyText) -> Result<Token, Problem> {
    let hash = state.secrets.hash_key(text.expose());
    let token = state.store.find_api_token_of_any_partner(hash, state.clock.now()).await?;
    let token = token.ok_or_else(Problem::unauthorized)?;
    // A scope that this version does not know gives nothing.
    let scopes = token.scopes.iter().filter_map(|scope| scope.parse().ok()).collect();
    Ok(Token { id: token.id, name: token.name, partner: token.partner, scopes })
}

impl FromRequestParts<AppState> for Token {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::unauthorized)
    }
}

impl FromRequestParts<AppState> for PartnerCall {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = Token::from_request_parts(parts, state).await?;
        let partner = whose(&token, parts)?.ok_or_else(|| {
            Problem::bad_request("This token is the provider's: name the partner, as ?partner=partner_0192…")
        })?;
        Ok(Self { state: state.clone(), partner, token, now: state.clock.now() })
    }
}

impl FromRequestParts<AppState> for PartnerOrProvider {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = Token::from_request_parts(parts, state).await?;
        Ok(Self { state: state.clone(), partner: whose(&token, parts)?, is_partner: token.partner.is_some() })
    }
}

impl FromRequestParts<AppState> for ProviderCall {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let token = Token::from_request_parts(parts, state).await?;
        if token.partner.is_some() {
            return Err(Problem::not_found());
        }
        Ok(Self { state: state.clone(), token, now: state.clock.now() })
    }
}

/// The token's own partner, or the one that the provider names. Another partner than one's own does not exist.
fn whose(token: &Token, parts: &Parts) -> Result<Option<PartnerId>, Problem> {
    match (token.partner, named_partner(parts)?) {
        (Some(own), Some(named)) if own != named => Err(Problem::not_found()),
        (Some(own), _) => Ok(Some(own)),
        (None, named) => Ok(named),
    }
}

fn named_partner(parts: &Parts) -> Result<Option<PartnerId>, Problem> {
    let query = parts.uri.query().unwrap_or_default();
    let Some(text) = query.split('&').find_map(|pair| pair.strip_prefix("partner=")) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Problem::bad_request("partner is an identifier, as partner_0192…"))
}
