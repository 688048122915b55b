//! Who is asking, and what the configuration says of these tenants: what they are confined to, which header the upstream gets, what is
//! enforced on them.

use super::confinement::{self, Confinement};
use super::{Allowed, Config};
use crate::limits::InForce;
use crate::path;
use crate::scope::{Renaming, Scope};
use crate::tenant::{
    self, Clues, EnforcedLabel, Evidence, Federation, Format, LabelError, LabelValues, Rules, Source, Tenants,
};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Config {
    /// Who is asking: what the source makes of the request, and of the proxy's answer. With `tenant_path`, the path chooses one of the
    /// tenants that the source names. What the configuration says of them is read now: a tenant of whom that can't be is refused.
    pub fn identify(&self, clues: &Clues<'_>) -> Result<Tenants, tenant::Error> {
        let tenants = self.named(clues)?;
        let can_read = |id| self.limits.can_read(id).and_then(|()| self.confinement.selectors.get(id).map(drop));
        let unreadable = |_| tenant::Error::Unreadable(confinement::OF_TENANT);
        tenants.ids().try_for_each(can_read).map_err(unreadable)?;
        Ok(tenants)
    }

    fn named(&self, clues: &Clues<'_>) -> Result<Tenants, tenant::Error> {
        if let Some(segment) = clues.segment {
            return self.choose(segment, clues);
        }
        // Where the path chooses, the source may name several in any case.
        let federation = match self.tenant_path {
            Some(_) => Federation::On { max_tenants: 0 },
            None => self.federation,
        };
        let allows = |id: &str| self.allows(id);
        let tenants = self.source.identify(clues, &Rules { format: self.format, federation, allows: &allows })?;
        match self.tenant_path.is_some() && tenants.are_several() {
            true => Err(tenant::Error::NotChosen),
            false => Ok(tenants),
        }
    }

    /// The tenants among which the request's path may choose, sorted. It is an error where there is none.
    pub fn offered(&self, clues: &Clues<'_>) -> Result<BTreeSet<String>, tenant::Error> {
        let mut offered = BTreeSet::new();
        match &self.source {
            Source::Allowed { .. } => {
                offered.extend(self.allowed.iter().flat_map(Allowed::ids).map(|id| id.into_owned()))
            }
            source => source.each_offered(clues, &mut |id| {
                if let Ok(tenants) = Tenants::one(id, self.format)
                    && self.allows(tenants.joined())
                {
                    offered.insert(tenants.joined().to_string());
                }
            })?,
        }
        match offered.is_empty() {
            true => Err(tenant::Error::NoneServed),
            false => Ok(offered),
        }
    }

    /// The tenant in the path, if the source offers it. Otherwise it is refused in the same words whether or not it exists.
    fn choose(&self, segment: &[u8], clues: &Clues<'_>) -> Result<Tenants, tenant::Error> {
        if segment.is_empty() {
            return Err(tenant::Error::Empty);
        }
        // What is not the one spelling of a text is no tenant's ID, like the empty text.
        let id = path::segment(segment).unwrap_or_default();
        let is_offered = match &self.source {
            Source::Allowed { .. } => self.allowed.as_ref().is_some_and(|allowed| allowed.names(&id)),
            source => source.offers(&id, clues)? && self.allows(&id),
        };
        match Tenants::one(id.as_bytes(), self.format) {
            Ok(tenants) if is_offered => Ok(tenants),
            Ok(_) | Err(_) => Err(tenant::Error::NotOffered),
        }
    }

    /// The tenants that a header's value names, or would name.
    pub fn tenants(&self, value: &[u8]) -> Result<Tenants, tenant::Error> {
        Tenants::parse(value, self.format, self.federation)
    }

    /// Which tenant IDs are valid.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether a valid tenant is served.
    pub fn allows(&self, id: &str) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(id))
    }

    /// Whether the configuration names the tenant, so that it has stats of its own whatever their bound.
    pub fn is_named(&self, id: &str) -> bool {
        let own = match &self.source {
            Source::Header { name: _, default } | Source::Allowed { default } => default.as_ref(),
            Source::Static(tenants) => Some(tenants),
            Source::Parameter(_) | Source::Certificate(_) | Source::Metadata(_) => None,
        };
        self.allowed.as_ref().is_some_and(|allowed| allowed.names(id))
            || self.limits.has_own(id)
            || self.confinement.selectors.has_own(id)
            || own.is_some_and(|tenants| &**tenants.joined() == id)
    }

    /// The pattern that stands for the tenants, where an operator looks at many.
    pub fn view(&self) -> Option<&Arc<str>> {
        self.view.as_ref()
    }

    /// The tenants whose data these see: those that are shared beside them. `None` where a pattern stands for them.
    pub fn seen_by(&self, tenants: &Tenants) -> Option<Tenants> {
        match (&self.view, &self.confinement.shared) {
            (Some(_), _) => None,
            (None, Some(shared)) => Some(tenants.with(shared)),
            (None, None) => Some(tenants.clone()),
        }
    }

    /// What labels are called in requests of these tenants; `None`: what they are called where they are stored. One tenant alone has no need to
    /// tell tenants apart.
    pub fn renaming(&self, tenants: &Tenants) -> Option<&Renaming> {
        let renaming = self.renaming.as_ref()?;
        let with_shared = || self.confinement.shared.as_ref().is_some_and(|shared| tenants.with(shared).are_several());
        (tenants.are_several() || self.view.is_some() || with_shared()).then_some(renaming)
    }

    /// The labels that are enforced beside the tenant's.
    pub fn enforced_labels(&self) -> &[EnforcedLabel] {
        &self.confinement.labels
    }

    pub(super) fn label_headers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.confinement.labels.iter().filter_map(EnforcedLabel::header)
    }

    /// What the proxy has to be asked for besides what names the tenant.
    pub fn label_evidence(&self) -> Option<Evidence> {
        self.confinement.labels.iter().any(EnforcedLabel::reads_metadata).then_some(Evidence::Metadata)
    }

    /// What a request says about the labels that are enforced beside the tenant's. `header`: the value of the header of the label with
    /// this index; `metadata`: what the proxy answers to [`Config::label_evidence`].
    pub fn label_values<'a>(
        &'a self,
        header: impl Fn(usize) -> Result<Option<&'a [u8]>, LabelError>,
        metadata: Option<&[u8]>,
    ) -> Result<LabelValues, (Arc<str>, LabelError)> {
        tenant::label::values(self.enforced_labels(), header, metadata, self.on_conflict)
    }

    /// What a request of these tenants, with these values of other labels, is confined to.
    ///
    /// # Errors
    /// [`tenant::Error::OwnSelector`] where several tenants are named, and one of them has a selector of its own.
    pub fn scope(&self, tenants: &Tenants, labels: &LabelValues) -> Result<Scope, tenant::Error> {
        let Confinement { selectors, shared, .. } = &self.confinement;
        let scope = match (&self.view, selectors.of(tenants)?, shared) {
            (Some(pattern), ..) => Scope::matching(self.label.clone(), pattern.clone()),
            (None, Some(own), _) => own.clone(),
            (None, None, None) => tenants.scope(&self.label, self.on_conflict, self.federation),
            // A query may choose among several, also where the tenant is the shared one.
            (None, None, Some(shared)) => {
                let all = tenants.with(shared);
                Scope::one_of(self.label.clone(), &all.ids().collect::<Vec<_>>(), self.on_conflict)
            }
        };
        Ok(labels.confine(scope))
    }

    /// What a request without values of other labels is confined to.
    #[cfg(test)]
    pub fn scope_of(&self, tenants: &Tenants) -> Scope {
        self.scope(tenants, &self.label_values(|_| Ok(None), None).unwrap()).unwrap()
    }

    /// What a write of one tenant is confined to: never to what others share with it.
    ///
    /// # Errors
    /// As [`Config::scope`].
    pub fn write_scope(&self, tenants: &Tenants, labels: &LabelValues) -> Result<Scope, tenant::Error> {
        let own = self.confinement.selectors.of(tenants)?;
        let by_label = || Scope::equal(self.label.clone(), tenants.joined().clone(), self.on_conflict);
        Ok(labels.confine(own.map_or_else(by_label, Scope::clone)))
    }

    /// The IDs that the upstream's tenant header names for a request of these tenants: also those that are shared, where the upstream
    /// isolates tenants by the header. `of_one`: the endpoint answers for one tenant only, so that nothing can be shared.
    pub fn forwarded(&self, tenants: &Tenants, of_one: bool) -> Arc<str> {
        match &self.confinement.shared {
            Some(shared) if self.upstream.profile().isolates_tenants && !of_one => {
                tenants.with(shared).joined().clone()
            }
            Some(_) | None => tenants.joined().clone(),
        }
    }

    /// Whether nothing is enforced on a request of this tenant; several are joined by `|`, and each has to be in dry run. `None`: no tenant was
    /// identified.
    pub fn dry_runs(&self, tenant: Option<&Arc<str>>) -> bool {
        match tenant {
            Some(joined) if self.mixes_dry_run => joined.split('|').all(|id| self.dry_runs_tenant(id)),
            Some(_) | None => self.dry_run,
        }
    }

    /// Whether some tenants are in dry run, and others are not.
    pub fn mixes_dry_run(&self) -> bool {
        self.mixes_dry_run
    }

    pub(super) fn dry_runs_tenant(&self, id: &str) -> bool {
        self.limits.own(id).and_then(|set| set.dry_run).unwrap_or(self.dry_run)
    }

    /// For whom nothing is enforced; `None` where everything is.
    pub fn dry_run_says(&self) -> Option<String> {
        let differ = self.limits.count_dry_run(!self.dry_run);
        match (self.dry_run, differ) {
            (false, 0) => None,
            (true, 0) => Some("nothing is enforced, for any tenant".to_owned()),
            (true, count) => Some(format!("nothing is enforced, but for {count} tenants of overrides")),
            (false, count) => Some(format!("nothing is enforced for {count} tenants of overrides")),
        }
    }

    /// The limits in force for these tenants; `None` where there are none.
    pub fn limits_of(&self, tenants: &Tenants) -> Option<InForce> {
        self.limits.of(tenants)
    }
}
