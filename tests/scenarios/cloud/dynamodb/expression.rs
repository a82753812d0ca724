//! DynamoDB's expressions, the ordinary subset: comparisons, `attribute_exists`, `attribute_not_exists`,
//! `begins_with`, `AND`, `OR`, `NOT`, parentheses; for updates `SET … = …` and `REMOVE …` on top-level attributes.
//!
//! As strict as DynamoDB: placeholders must be defined and used, reserved words must not stand as names.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Item, Parameters, Refusal};

/// Reserved words that somebody might give to an attribute; DynamoDB has some six hundred.
const RESERVED: [&str; 46] = [
    "ACTION",
    "CLUSTER",
    "COMMENT",
    "COUNT",
    "DATA",
    "DATE",
    "DOMAIN",
    "GROUP",
    "HASH",
    "INDEX",
    "ITEM",
    "ITEMS",
    "KEY",
    "KEYS",
    "LEVEL",
    "LOCATION",
    "LOCK",
    "MODE",
    "NAME",
    "NAMES",
    "OWNER",
    "PATH",
    "PERMISSION",
    "PERMISSIONS",
    "PLAN",
    "POSITION",
    "RANGE",
    "REASON",
    "REGION",
    "ROLE",
    "ROLES",
    "SCHEMA",
    "SNAPSHOT",
    "SOURCE",
    "STATE",
    "STATUS",
    "TIME",
    "TIMESTAMP",
    "TOKEN",
    "TTL",
    "TYPE",
    "URL",
    "USAGE",
    "USER",
    "VALUE",
    "VALUES",
];

/// A condition, parsed and with its placeholders filled in.
#[derive(Debug, Clone)]
pub(super) enum Expression {
    And(Box<Expression>, Box<Expression>),
    Or(Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    Exists(Vec<String>),
    BeginsWith(Operand, Operand),
    Compare(Operand, String, Operand),
}

/// One side of a comparison.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    Path(Vec<String>),
    Value(Value),
}

impl Expression {
    pub(super) fn parse(text: &str, parameters: &Parameters) -> Result<Self, Refusal> {
        let mut parser = Parser { tokens: tokens(text)?, at: 0, parameters };
        let expression = parser.any()?;
        if parser.at < parser.tokens.len() {
            return Err(syntax(&parser.tokens[parser.at]));
        }
        Ok(expression)
    }

    /// Whether it holds for an item; for a row that does not exist, an empty item.
    pub(super) fn holds(&self, item: &Item) -> bool {
        match self {
            Self::And(one, other) => one.holds(item) && other.holds(item),
            Self::Or(one, other) => one.holds(item) || other.holds(item),
            Self::Not(inner) => !inner.holds(item),
            Self::Exists(path) => look_up(item, path).is_some(),
            Self::BeginsWith(one, other) => match (one.text(item), other.text(item)) {
                (Some(text), Some(prefix)) => text.starts_with(&prefix),
                _ => false,
            },
            Self::Compare(one, sign, other) => match (one.value(item), other.value(item)) {
                (Some(one), Some(other)) => compare(one, sign, other),
                // An absent attribute equals nothing, and so is unequal to everything.
                _ => sign == "<>",
            },
        }
    }

    /// The value that a key condition demands of an attribute, where it does.
    pub(super) fn demands_of(&self, attribute: &str) -> Option<&Value> {
        match self {
            Self::And(one, other) => one.demands_of(attribute).or_else(|| other.demands_of(attribute)),
            Self::Compare(Operand::Path(path), sign, Operand::Value(value)) => {
                (sign == "=" && path.as_slice() == [attribute]).then_some(value)
            }
            _ => None,
        }
    }
}

impl Operand {
    fn value<'a>(&'a self, item: &'a Item) -> Option<&'a Value> {
        match self {
            Self::Path(path) => look_up(item, path),
            Self::Value(value) => Some(value),
        }
    }

    fn text(&self, item: &Item) -> Option<String> {
        self.value(item)?.get("S")?.as_str().map(str::to_owned)
    }
}

/// Applies an update expression to an item.
pub(super) fn update(text: &str, parameters: &Parameters, item: &mut Item) -> Result<(), Refusal> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, parameters };
    let before = item.clone();
    let mut removing = false;
    while parser.at < parser.tokens.len() {
        match parser.tokens[parser.at].to_uppercase().as_str() {
            "SET" => removing = false,
            "REMOVE" => removing = true,
            "," if parser.at > 0 => {}
            other => return Err(syntax(other)),
        }
        parser.at += 1;
        let path = parser.path()?;
        let [name] = path.as_slice() else {
            return Err(Refusal::validation("Invalid UpdateExpression: nested paths are not supported here"));
        };
        if removing {
            item.remove(name);
        } else {
            parser.expect("=")?;
            let operand = parser.operand()?;
            let value = operand.value(&before).cloned().ok_or_else(|| {
                Refusal::validation("The provided expression refers to an attribute that does not exist in the item")
            })?;
            item.insert(name.clone(), value);
        }
    }
    Ok(())
}

/// Refuses placeholders that no expression uses, and a request that defines some without an expression.
pub(super) fn check_placeholders(parameters: &Parameters, expressions: &[&str]) -> Result<(), Refusal> {
    let mut used = Vec::new();
    for text in expressions {
        used.extend(tokens(text)?);
    }
    for member in ["ExpressionAttributeNames", "ExpressionAttributeValues"] {
        let Some(defined) = parameters.object(member)? else { continue };
        if expressions.is_empty() {
            return Err(Refusal::validation(format!("{member} can only be specified when using expressions")));
        }
        if let Some(idle) = defined.as_map().keys().find(|name| !used.iter().any(|token| token_names(token, name))) {
            let message = format!("Value provided in {member} unused in expressions: keys: {{{idle}}}");
            return Err(Refusal::validation(message));
        }
    }
    Ok(())
}

fn token_names(token: &str, placeholder: &str) -> bool {
    token.split('.').any(|part| part == placeholder)
}

struct Parser<'a> {
    tokens: Vec<String>,
    at: usize,
    parameters: &'a Parameters,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Expression, Refusal> {
        let mut left = self.all()?;
        while self.take("OR") {
            left = Expression::Or(Box::new(left), Box::new(self.all()?));
        }
        Ok(left)
    }

    fn all(&mut self) -> Result<Expression, Refusal> {
        let mut left = self.one()?;
        while self.take("AND") {
            left = Expression::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Expression, Refusal> {
        if self.take("NOT") {
            return Ok(Expression::Not(Box::new(self.one()?)));
        }
        if self.take("(") {
            let inner = self.any()?;
            self.expect(")")?;
            return Ok(inner);
        }
        for (function, present) in [("attribute_exists", true), ("attribute_not_exists", false)] {
            if self.take_exactly(function) {
                self.expect("(")?;
                let exists = Expression::Exists(self.path()?);
                self.expect(")")?;
                return Ok(if present { exists } else { Expression::Not(Box::new(exists)) });
            }
        }
        if self.take_exactly("begins_with") {
            self.expect("(")?;
            let text = self.operand()?;
            self.expect(",")?;
            let prefix = self.operand()?;
            self.expect(")")?;
            return Ok(Expression::BeginsWith(text, prefix));
        }
        let left = self.operand()?;
        let sign = self.next()?;
        if !["=", "<>", "<", "<=", ">", ">="].contains(&sign.as_str()) {
            return Err(syntax(&sign));
        }
        Ok(Expression::Compare(left, sign, self.operand()?))
    }

    fn operand(&mut self) -> Result<Operand, Refusal> {
        if !self.tokens.get(self.at).is_some_and(|token| token.starts_with(':')) {
            return Ok(Operand::Path(self.path()?));
        }
        let token = self.next()?;
        let values = self.parameters.object("ExpressionAttributeValues")?.unwrap_or_default();
        let value = values.get(&token).cloned().ok_or_else(|| undefined("value", &token))?;
        Ok(Operand::Value(value))
    }

    fn path(&mut self) -> Result<Vec<String>, Refusal> {
        let token = self.next()?;
        let names = self.parameters.object("ExpressionAttributeNames")?.unwrap_or_default();
        let mut path = Vec::new();
        for part in token.split('.') {
            if part.starts_with('#') {
                let name = names.get(part).and_then(Value::as_str).ok_or_else(|| undefined("name", part))?;
                path.push(name.to_owned());
            } else if RESERVED.contains(&part.to_uppercase().as_str()) {
                let message = format!("Attribute name is a reserved keyword; reserved keyword: {part}");
                return Err(Refusal::validation(format!("Invalid expression: {message}")));
            } else if part.starts_with(|c: char| c.is_ascii_alphabetic()) {
                path.push(part.to_owned());
            } else {
                return Err(syntax(part));
            }
        }
        Ok(path)
    }

    fn next(&mut self) -> Result<String, Refusal> {
        let token = self.tokens.get(self.at).cloned().ok_or_else(|| syntax("<end of expression>"))?;
        self.at += 1;
        Ok(token)
    }

    fn take(&mut self, keyword: &str) -> bool {
        let here = self.tokens.get(self.at).is_some_and(|token| token.eq_ignore_ascii_case(keyword));
        self.at += usize::from(here);
        here
    }

    /// Function names, unlike keywords, are case-sensitive.
    fn take_exactly(&mut self, function: &str) -> bool {
        self.tokens.get(self.at).is_some_and(|token| token == function) && self.take(function)
    }

    fn expect(&mut self, token: &str) -> Result<(), Refusal> {
        if self.take(token) { Ok(()) } else { Err(syntax(self.tokens.get(self.at).map_or("<end>", String::as_str))) }
    }
}

fn tokens(text: &str) -> Result<Vec<String>, Refusal> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_ascii_alphanumeric() || "_#:.".contains(c);
        let length = match first {
            '<' if rest.starts_with("<>") || rest.starts_with("<=") => 2,
            '>' if rest.starts_with(">=") => 2,
            '(' | ')' | '=' | '<' | '>' | ',' => 1,
            c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            _ => return Err(syntax(rest)),
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn look_up<'a>(item: &'a Item, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(item.get(first)?, |value, name| value.get("M")?.get(name))
}

fn compare(one: &Value, sign: &str, other: &Value) -> bool {
    let order = match (one.get("N"), other.get("N"), one.get("S"), other.get("S")) {
        (Some(one), Some(other), ..) => number(one).partial_cmp(&number(other)),
        (.., Some(one), Some(other)) => Some(one.as_str().cmp(&other.as_str())),
        _ => (one == other).then_some(Ordering::Equal),
    };
    match sign {
        "=" => order == Some(Ordering::Equal),
        "<>" => order != Some(Ordering::Equal),
        "<" => order == Some(Ordering::Less),
        "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        ">" => order == Some(Ordering::Greater),
        _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

fn number(digits: &Value) -> f64 {
    digits.as_str().and_then(|digits| digits.parse().ok()).unwrap_or(f64::NAN)
}

fn undefined(what: &str, token: &str) -> Refusal {
    let message = format!("An expression attribute {what} used in expression is not defined; {token}");
    Refusal::validation(format!("Invalid expression: {message}"))
}

fn syntax(token: &str) -> Refusal {
    Refusal::validation(format!("Invalid expression: Syntax error; token: \"{token}\""))
}
