//! The chart's copy of a CustomResourceDefinition: the same text behind the switches `crds.enabled` and `crds.keep`.

use anyhow::{Context, bail};

use super::crd::Crd;

const ANNOTATIONS: &str = "metadata:
  labels:
    {{- include \"av1-operator.labels\" . | nindent 4 }}
  {{- if .Values.crds.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
";

/// The Helm template of a definition.
pub(crate) fn template(crd: &Crd) -> anyhow::Result<String> {
    let yaml = crd.yaml()?;
    if yaml.contains("{{") {
        bail!("the definition in {} holds {{{{, which Helm would take for a template", crd.file_name());
    }
    let (head, rest) = yaml.split_once("metadata:\n").context("a definition without metadata")?;
    Ok(format!("{{{{- if .Values.crds.enabled }}}}\n{head}{ANNOTATIONS}{rest}{{{{- end }}}}\n"))
}
