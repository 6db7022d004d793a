//! The endpoint that hands out credentials inside of a container: ECS, EKS, CloudShell.
//!
//! Asked here and not by `object_store`, which wants a file for the token of a full URL, and asks
//! the instance instead where there is none.

use std::path::Path;
use std::time::SystemTime;

use http::header::AUTHORIZATION;
use http_body_util::{BodyExt, Limited};
use object_store::client::HttpRequestBody;

use super::line::Line;
use super::refusal::{Broken, Refusal};
use crate::model::secret::Secret;
use crate::remote::credentials::{AwsKeys, read_file, variable};

/// Where relative URLs count from: Amazon's address for it, in every container.
const HOST: &str = "http://169.254.170.2";
/// The longest answer, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// The credentials that the endpoint hands out now.
pub(super) async fn ask(line: &Line) -> Result<AwsKeys, Broken> {
    let relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{HOST}{path}"));
    let url = relative.or_else(|| variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")).unwrap_or_default();
    let mut request = http::Request::builder().uri(url);
    if let Some(token) = token()? {
        request = request.header(AUTHORIZATION, token);
    }
    let request = request.body(HttpRequestBody::empty());
    let response =
        line.send(request.map_err(|_| Broken::Nonsense("its URL or token cannot be sent"))?).await?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await;
    let body = body.map_err(|_| Broken::Nonsense(NO_CREDENTIALS))?.to_bytes();
    match parts.status.is_success() {
        true => parse(&body).ok_or(Broken::Nonsense(NO_CREDENTIALS)),
        false => Err(Broken::Refused(Refusal::new(parts.status.as_u16(), &parts.headers, &body))),
    }
}

const NO_CREDENTIALS: &str = "its answer holds no credentials";

/// What the endpoint wants to be shown; a file is read each time, because it changes.
fn token() -> Result<Option<String>, Broken> {
    let Some(file) = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") else {
        return Ok(variable("AWS_CONTAINER_AUTHORIZATION_TOKEN"));
    };
    match read_file(Path::new(&file)) {
        Ok(Some(text)) => Ok(Some(text.trim().to_owned())),
        _ => Err(Broken::Nonsense(
            "the file that `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` names cannot be read",
        )),
    }
}

fn parse(body: &[u8]) -> Option<AwsKeys> {
    let document: serde_json::Value = serde_json::from_slice(body).ok()?;
    let secret = |name: &str| document[name].as_str().filter(|text| !text.is_empty()).map(Secret::new);
    let expires =
        document["Expiration"].as_str().and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
    Some(AwsKeys {
        id: secret("AccessKeyId")?,
        secret: secret("SecretAccessKey")?,
        token: secret("Token"),
        expires: expires.map(SystemTime::from),
    })
}
