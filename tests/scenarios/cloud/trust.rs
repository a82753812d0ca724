//! Trust policies as roles commonly have them, as JSON text.

/// Trusts one AWS service, such as `ec2.amazonaws.com`.
pub fn service(name: &str) -> String {
    statement(&format!(r#"{{"Service":"{name}"}}"#))
}

/// Instances, the usual node role.
pub fn ec2() -> String {
    service("ec2.amazonaws.com")
}

/// Systems Manager, the usual role of hybrid nodes.
pub fn ssm() -> String {
    service("ssm.amazonaws.com")
}

/// Fargate, the usual pod execution role.
pub fn fargate() -> String {
    service("eks-fargate-pods.amazonaws.com")
}

/// SageMaker, the role of `HyperPod` nodes.
pub fn sagemaker() -> String {
    service("sagemaker.amazonaws.com")
}

/// A principal of AWS: an ARN, an account ID or `*`.
pub fn aws(principal: &str) -> String {
    statement(&format!(r#"{{"AWS":"{principal}"}}"#))
}

/// EC2, and an AWS principal in a second statement.
pub fn ec2_and_aws(principal: &str) -> String {
    format!(
        concat!(
            r#"{{"Version":"2012-10-17","Statement":["#,
            r#"{{"Effect":"Allow","Principal":{{"Service":"ec2.amazonaws.com"}},"Action":"sts:AssumeRole"}},"#,
            r#"{{"Effect":"Allow","Principal":{{"AWS":"{}"}},"Action":"sts:AssumeRole"}}]}}"#
        ),
        principal
    )
}

fn statement(principal: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{principal},"Action":"sts:AssumeRole"}}]}}"#
    )
}
