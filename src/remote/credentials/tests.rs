use std::fs;

use super::*;

fn search(folder: &std::path::Path, profile: &str) -> AwsSearch {
    AwsSearch {
        remote: "store".to_owned(),
        keys: None,
        profile: Some(profile.to_owned()),
        config_file: Some(folder.join("config")),
        credentials_file: Some(folder.join("credentials")),
    }
}

#[test]
fn profiles_are_merged_from_both_files() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(
        folder.path().join("config"),
        "# mine\n[default]\nregion = eu-west-1\n[profile ml]\n  aws_access_key_id=old\nregion=us-east-2\n\
         s3 =\n  addressing_style = virtual\n\n[profile login]\nsso_session = corp\n[profile 'two words']\nregion=x\n\
         [profile pod]\nrole_arn = arn:r\nweb_identity_token_file = /t\n[profile empty]\n",
    )
    .expect("written");
    fs::write(
        folder.path().join("credentials"),
        "[ml]\naws_access_key_id = ID\naws_secret_access_key = SECRET\n[default]\naws_session_token=\n",
    )
    .expect("written");
    let ml = search(folder.path(), "ml");
    let Ok(Found::Keys { keys, source }) = ml.find() else { panic!("no keys") };
    assert_eq!((keys.id.expose(), keys.secret.expose(), keys.token.is_none()), ("ID", "SECRET", true));
    assert_eq!(source, "profile `ml`");
    assert_eq!(ml.setting("region").as_deref(), Some("us-east-2"));
    assert_eq!(ml.setting("s3.addressing_style").as_deref(), Some("virtual"));
    assert_eq!(search(folder.path(), "default").setting("region").as_deref(), Some("eu-west-1"));
    assert_eq!(search(folder.path(), "two words").setting("region").as_deref(), Some("x"));
    let Ok(Found::WebIdentity { role, .. }) = search(folder.path(), "pod").find() else { panic!("no role") };
    assert_eq!(role, "arn:r");
    assert_eq!(search(folder.path(), "login").renewal().as_deref(), Some("aws sso login --profile login"));
    assert!(matches!(search(folder.path(), "empty").find(), Err(CredentialsError::Nothing { .. })));
    assert!(matches!(search(folder.path(), "nosuch").find(), Err(CredentialsError::NoProfile { .. })));
}

#[test]
fn printed_credentials_are_parsed_or_refused() {
    let good = br#"{"Version":1,"AccessKeyId":"a","SecretAccessKey":"b","SessionToken":"c","Expiration":"2026-11-21T10:00:00Z"}"#;
    let keys = process::parse(good).expect("good");
    assert!(keys.expires.is_some() && keys.token.is_some());
    for bad in [
        &b""[..],
        b"{}",
        br#"{"Version":2,"AccessKeyId":"a","SecretAccessKey":"b"}"#,
        br#"{"Version":1,"AccessKeyId":"","SecretAccessKey":"b"}"#,
        br#"{"Version":1,"AccessKeyId":"a","SecretAccessKey":"b","Expiration":"soon"}"#,
    ] {
        assert!(process::parse(bad).is_none());
    }
}
