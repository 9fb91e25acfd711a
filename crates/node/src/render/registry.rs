//! What the broker's registry answers.

use super::lists::{empty, short};
use super::table::{Cell, Table, Tone};
use super::units::{ago, day, in_span};
use super::{Render, Style};
use crate::schema::{InvitationList, InviteReply, RequestList};

impl Render for InviteReply {
    fn render(&self, style: Style) -> String {
        if self.open {
            return format!(
                "{}\n\n{}\n",
                style.paint.bold(&self.link),
                style.paint.dim(&format!(
                    "Any number may use it, until {} ({}); each waits for your 'ln6d approve'. There: ln6d join LINK",
                    day(self.expires),
                    in_span(self.expires, style.now)
                ))
            );
        }
        let who = self.name.as_deref().map_or_else(String::new, |name| format!(" as {name}"));
        let size = self.size.map_or_else(String::new, |size| format!(", a /{size}"));
        format!(
            "{}\n\n{}\n",
            style.paint.bold(&self.link),
            style.paint.dim(&format!(
                "Admits one node{who}{size}, until {} ({}). There: ln6d join LINK",
                day(self.expires),
                in_span(self.expires, style.now)
            ))
        )
    }
}

impl Render for RequestList {
    fn render(&self, style: Style) -> String {
        if self.requests.is_empty() {
            return empty("Nobody waits.");
        }
        let mut table = Table::new(&[">ID", "NAME", "ASKS", "WOULD GET", "MESH", "CONTACT", "WAITS", "KEY"]);
        for request in &self.requests {
            table.row(vec![
                request.id.clone().into(),
                match &request.name {
                    Some(name) if request.name_taken => Cell::toned(format!("{name} (taken)"), Tone::Warn),
                    name => Cell::or_dash(name.clone()),
                },
                Cell::or_dash(request.size.map(|size| format!("/{size}"))),
                Cell::or_dash(request.proposed.map(|prefix| prefix.to_string())),
                Cell::or_dash(request.ssid.clone()),
                Cell::or_dash(request.contact.clone()),
                ago(request.since, style.now).trim_end_matches(" ago").into(),
                request.key.to_string().into(),
            ]);
        }
        let next = style
            .paint
            .dim("Compare the key with 'ln6d key show' there; then 'ln6d approve ID' or 'ln6d deny ID'.");
        format!("{}\n{next}\n", table.render(style.paint))
    }
}

impl Render for InvitationList {
    fn render(&self, style: Style) -> String {
        if self.invitations.is_empty() {
            return empty("No invitation was made yet. 'ln6d invite' makes one.");
        }
        let mut table = Table::new(&[">ID", "STATE", "NAME", "SIZE", "FOR", "EXPIRES", "USED BY"]);
        for row in &self.invitations {
            let tone = if row.state == "open" { Tone::Good } else { Tone::Dim };
            table.row(vec![
                row.id.clone().into(),
                Cell::toned(row.state.clone(), tone),
                Cell::or_dash(row.name.clone()),
                Cell::or_dash(row.size.map(|size| format!("/{size}"))),
                if row.replaces { "the place of another".into() } else { "a new node".into() },
                format!("{} ({})", day(row.expires), in_span(row.expires, style.now)).into(),
                Cell::or_dash(row.used_by.as_ref().map(short)),
            ]);
        }
        let next = style.paint.dim("An open one is withdrawn with 'ln6d invitations cancel ID'.");
        format!("{}\n{next}\n", table.render(style.paint))
    }
}

#[cfg(test)]
mod tests {
    use crate::render::samples::{NOW, p};
    use crate::render::{Render, Style};
    use crate::schema::*;
    use ln6_types::PublicKey;

    fn show(what: &impl Render) -> String {
        what.render(Style::plain(NOW))
    }

    #[test]
    fn requests_are_a_table() {
        let request = RequestRow {
            id: "3".into(),
            name: Some("escuela".into()),
            name_taken: false,
            size: Some(56),
            ssid: None,
            key: PublicKey([3; 32]),
            proposed: Some(p("2001:db8:4813::/56")),
            contact: Some("ana@example.net".into()),
            since: Time::from_secs(1_789_999_700),
            revision: 0,
        };
        let shown = show(&RequestList { requests: vec![request.clone()] });
        let expected = [
            "ID  NAME     ASKS  WOULD GET           CONTACT          WAITS  KEY",
            " 3  escuela  /56   2001:db8:4813::/56  ana@example.net  5 min  AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM=",
            "",
            "Compare the key with 'ln6d key show' there; then 'ln6d approve ID' or 'ln6d deny ID'.",
        ];
        assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
        assert_eq!(show(&RequestList::default()), "Nobody waits.\n");
        let taken = RequestRow { name_taken: true, ..request };
        assert!(show(&RequestList { requests: vec![taken] }).contains(" escuela (taken)  /56 "));
    }

    #[test]
    fn invitations_are_a_table() {
        let row = InvitationRow {
            id: "3".into(),
            state: "open".into(),
            name: Some("quintana".into()),
            size: Some(56),
            replaces: false,
            expires: Time::from_secs(1_790_000_000 + 86_400),
            used_by: None,
        };
        let shown = show(&InvitationList { invitations: vec![row] });
        assert!(shown.contains(" 3  open   quintana  /56   a new node  2026-09-22 (in 1 day)"), "{shown}");
        assert!(show(&InvitationList::default()).contains("'ln6d invite'"));
    }

    #[test]
    fn an_invitation_says_what_it_does_and_until_when() {
        let invite = InviteReply {
            link: "ln6://join/x".into(),
            expires: Time::from_secs(1_790_000_000 + 7 * 86_400),
            name: Some("quintana".into()),
            size: Some(56),
            open: false,
        };
        assert_eq!(
            show(&invite),
            "ln6://join/x\n\nAdmits one node as quintana, a /56, until 2026-09-28 (in 7 days). There: ln6d join LINK\n",
        );
        let open = show(&InviteReply { open: true, ..invite });
        assert!(open.contains("Any number may use it, until 2026-09-28"), "{open}");
    }
}
