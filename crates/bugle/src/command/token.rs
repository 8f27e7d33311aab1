//! `bugle token`: who may use the platform's API, and for what.

use std::time::Duration;

use bugle_api::{IssuedToken, NewToken, PageQuery, Scope, Token};
use clap::{Args, Subcommand};

use super::Context;
use super::paging::Limit;
use crate::failure::{Ended, Failure};
use crate::output::{list, table};
use crate::when::Wall;

/// Tokens: who may use the platform's API, and for what
#[derive(Debug, Args)]
pub(crate) struct TokenCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(CreateArgs),
    /// List tokens, without their secrets
    #[command(after_long_help = "Example:\n  bugle token list")]
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Make a token worthless
    #[command(after_long_help = "\
Example (of the token with a name):
  bugle token revoke $(bugle token list --json | jq -r '.[] | select(.name == \"dashboard\").id')")]
    Revoke {
        /// Which, by its id as `bugle token list` prints it
        token: String,
    },
}

/// Issue a token; its secret is printed once, and known nowhere else
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle token create dashboard --scope groups:read --scope events:read
  bugle token create operator-2 --scope operator --every-application --expires 30days")]
struct CreateArgs {
    /// What it is for, in words
    name: String,
    /// What it lets its holder do; may be given several times. One of groups:read, peripherals:read,
    /// peripherals:write, requests:read, requests:write, registrations:decide, events:read, operator
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<Scope>,
    /// It is good for every application, not only for the one that is meant
    #[arg(long)]
    every_application: bool,
    /// How long it is good for, as 30days; forever without it
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
}

impl TokenCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let client = context.client()?;
        match self.command {
            Command::Create(args) => {
                let issued = client.issue_token(&args.new_token(context)?).await?;
                context.output.print(&issued, describe)?;
            }
            Command::List { limit } => {
                let found =
                    limit.collect(async |cursor, limit| client.tokens(&PageQuery { cursor, limit }).await).await?;
                context.output.print(&found.items, |tokens| format!("{}{}", token_table(tokens), found.note()))?;
            }
            Command::Revoke { token } => {
                client.revoke_token(&token).await?;
                let revoked = serde_json::json!({ "revoked": token });
                context.output.print(&revoked, |_| format!("Token {token} is worthless now."))?;
            }
        }
        Ok(Ended::Well)
    }
}

impl CreateArgs {
    fn new_token(&self, context: &Context) -> Result<NewToken, Failure> {
        let application = match self.every_application {
            true => None,
            false => Some(context.connection.application()?.clone()),
        };
        Ok(NewToken {
            name: self.name.clone(),
            scopes: self.scopes.iter().copied().collect(),
            application,
            expires_in_seconds: self.expires.map(|expires| expires.as_secs()),
        })
    }
}

fn describe(issued: &IssuedToken) -> String {
    format!("{}\n\nKeep it: it is shown only now. Its id is {}.", issued.secret, issued.token.id)
}

fn token_table(tokens: &[Token]) -> String {
    let wall = Wall::here();
    let rows = tokens.iter().map(|token| {
        [
            token.id.clone(),
            token.name.clone(),
            list(&token.scopes),
            token.application.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string),
            wall.tell(token.created_at),
            token.expires_at.map_or_else(|| "never".to_owned(), |at| wall.tell(at)),
        ]
    });
    table(["token", "name", "scopes", "application", "issued", "expires"], rows, "No token.")
}
