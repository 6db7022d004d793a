//! moto: S3 with real signatures and IAM policies.

use std::process::Command;

use serde_json::{Value, json};

use super::{Server, installed, tools};
use crate::support::TestEnv;

/// The bucket that is there from the start.
pub(crate) const BUCKET: &str = "data";

/// An access key of one user.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// A running moto with one bucket.
pub(crate) struct Moto {
    pub(crate) server: Server,
    /// One for each policy that it was started with.
    pub(crate) users: Vec<Keys>,
}

impl Moto {
    /// With a user who may do everything.
    pub(crate) fn start() -> Option<Moto> {
        let all = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
        Moto::with_users(&[json!({ "Version": "2012-10-17", "Statement": [all] })])
    }

    /// With a user for each policy.
    pub(crate) fn with_users(policies: &[Value]) -> Option<Moto> {
        let program = installed("moto", &[tools().join("moto/bin/moto_server")])?;
        // So many calls are let through before signatures and policies count.
        let free = (1 + 3 * policies.len()).to_string();
        let server = Server::start(|folder, port| {
            let mut command = Command::new(program);
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).current_dir(folder);
            command.env("INITIAL_NO_AUTH_ACTION_COUNT", &free);
            command
        });
        let authorization = |service: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=x"
            )
        };
        let (status, body) =
            server.ask("PUT", &format!("/{BUCKET}"), &[("Authorization", &authorization("s3"))], "");
        assert_eq!(status, 200, "{body}");
        let iam = |action: &str| {
            let headers = [
                ("Authorization", authorization("iam")),
                ("Content-Type", "application/x-www-form-urlencoded".to_owned()),
            ];
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
            let (status, body) = server.ask("POST", "/", &headers, &format!("{action}&Version=2010-05-08"));
            assert_eq!(status, 200, "{body}");
            body
        };
        let users = policies.iter().enumerate().map(|(number, policy)| {
            let name = format!("UserName=user{number}");
            iam(&format!("Action=CreateUser&{name}"));
            let policy = percent(&policy.to_string());
            iam(&format!("Action=PutUserPolicy&{name}&PolicyName=p&PolicyDocument={policy}"));
            let made = iam(&format!("Action=CreateAccessKey&{name}"));
            Keys { id: element(&made, "AccessKeyId"), secret: element(&made, "SecretAccessKey") }
        });
        let users = users.collect();
        Some(Moto { server, users })
    }

    /// Configures the bucket as the default remote `s3`, with the first user's key.
    pub(crate) fn add_remote(&self, env: &TestEnv) {
        env.mlv(&["remote", "add", "-d", "s3", &format!("s3://{BUCKET}/project")]).success();
        env.mlv(&["remote", "modify", "s3", "endpointurl", &self.server.url()]).success();
        self.log_in(env, &self.users[0]);
    }

    /// Gives this clone a user's key.
    pub(crate) fn log_in(&self, env: &TestEnv, keys: &Keys) {
        for (option, value) in [("access_key_id", &keys.id), ("secret_access_key", &keys.secret)] {
            env.mlv(&["remote", "modify", "--local", "s3", option, value]).success();
        }
    }

    /// The requests that came so far: `PUT /data/project/…`.
    pub(crate) fn requests(&self) -> Vec<String> {
        let log = self.server.log();
        let lines = log.lines().filter_map(|line| line.split('"').nth(1));
        lines.filter(|line| line.ends_with(" HTTP/1.1")).map(str::to_owned).collect()
    }
}

/// All bytes but letters and digits as `%XX`.
fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes()
        .map(|byte| if plain(byte) { (byte as char).into() } else { format!("%{byte:02X}") })
        .collect()
}

fn element(body: &str, name: &str) -> String {
    let rest = body.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("no {name} in {body}")).1;
    rest.split('<').next().expect("text").to_owned()
}
