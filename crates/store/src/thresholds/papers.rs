//! The invoices of a stretch that have a line for the same usage, in their order, and how that line is shared out among them.

use crate::Invoice;
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

/// An invoice of a stretch, and the line on it.
#[derive(Debug, Clone)]
pub(super) struct Paper {
    pub invoice: Uuid,
    pub number: i64,
    pub is_void: bool,
    /// The threshold invoices that it took off; empty where there were none, or it is from before that was kept.
    pub takes_off: Vec<Uuid>,
    /// In micro-units, zero where it has no such line.
    pub billed: i64,
    /// Of the line, by credit notes.
    pub credited: i64,
}

/// All of them, the last invoice of the period behind its threshold invoices.
#[derive(Debug, Clone)]
pub(super) struct Papers(pub Vec<Paper>);

/// Of a row with `id`, `number`, `is_void` and `takes_off`.
pub(super) fn read(row: &PgRow, billed: i64, credited: i64) -> Result<Paper, sqlx::Error> {
    Ok(Paper {
        invoice: row.try_get("id")?,
        number: row.try_get("number")?,
        is_void: row.try_get("is_void")?,
        takes_off: row.try_get("takes_off")?,
        billed,
        credited,
    })
}

impl Paper {
    /// `TP-000042`
    pub fn code(&self) -> String {
        Invoice::code_of(self.number)
    }

    /// Whether it took off what an earlier one billed. Of an invoice that does not say so: one that stands stood then, too.
    pub fn took_off(&self, earlier: &Self) -> bool {
        match self.takes_off.as_slice() {
            [] => !earlier.is_void,
            all => all.contains(&earlier.invoice),
        }
    }
}

impl Papers {
    /// What each has of the line less what it took off, in micro-units: below zero where it gives back.
    pub fn nets(&self) -> Vec<i64> {
        let mut nets: Vec<i64> = Vec::with_capacity(self.0.len());
        for paper in &self.0 {
            let off = |(earlier, net): (&Paper, &i64)| match (paper.took_off(earlier), earlier.is_void) {
                (true, _) => *net,
                // It is billed again, but for what was credited on it.
                (false, true) => earlier.credited,
                (false, false) => 0,
            };
            let off = self.0.iter().zip(&nets).map(off).fold(0_i64, i64::saturating_add);
            nets.push(paper.billed.saturating_sub(off));
        }
        nets
    }

    /// What each that stands is the first to bill, less what later ones have given back, those before them last; nothing of void ones.
    pub fn own_parts(&self) -> Vec<i64> {
        self.shared().0
    }

    /// What was credited of the line on each, and costs nothing by now: by the place of the paper.
    pub fn credited_beyond(&self) -> Vec<(usize, i64)> {
        let (parts, mut lacking) = self.shared();
        let mut beyond = Vec::new();
        for (place, (paper, part)) in self.0.iter().zip(parts).enumerate() {
            let over = match paper.is_void {
                false => paper.credited.saturating_sub(part).max(0),
                // What was credited on void ones is taken off as far as the line goes.
                true => paper.credited.min(lacking),
            };
            if paper.is_void {
                lacking = lacking.saturating_sub(over);
            }
            if over > 0 {
                beyond.push((place, over));
            }
        }
        beyond
    }

    /// The own parts, and how much more was given back than there was to give.
    fn shared(&self) -> (Vec<i64>, i64) {
        let (mut parts, mut lacking) = (vec![0_i64; self.0.len()], 0_i64);
        for (place, (paper, net)) in self.0.iter().zip(self.nets()).enumerate() {
            if paper.is_void {
                continue;
            }
            let (earlier, own) = parts.split_at_mut(place);
            // What nobody had to give is made good first.
            let made_good = net.clamp(0, lacking);
            lacking -= made_good;
            if let Some(own) = own.first_mut() {
                *own = net.max(0) - made_good;
            }
            let mut back = net.min(0).saturating_neg();
            for part in earlier.iter_mut().rev() {
                let given = back.min(*part);
                *part -= given;
                back -= given;
            }
            lacking = lacking.saturating_add(back);
        }
        (parts, lacking)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn name(number: i64) -> Uuid {
        Uuid::from_u128(u128::try_from(number).expect("above zero"))
    }

    pub fn paper(number: i64, billed: i64) -> Paper {
        Paper { invoice: name(number), number, is_void: false, takes_off: Vec::new(), billed, credited: 0 }
    }

    pub fn void(number: i64, billed: i64, credited: i64) -> Paper {
        Paper { is_void: true, credited, ..paper(number, billed) }
    }

    pub fn taking_off(numbers: &[i64], paper: Paper) -> Paper {
        Paper { takes_off: numbers.iter().copied().map(name).collect(), ..paper }
    }

    fn credited(credited: i64, paper: Paper) -> Paper {
        Paper { credited, ..paper }
    }

    fn all(papers: &Papers) -> Vec<i64> {
        let standing = papers.0.iter().zip(papers.own_parts()).filter(|(paper, _)| !paper.is_void);
        standing.map(|(_, part)| part).collect()
    }

    #[test]
    fn the_own_parts_of_those_that_stand_add_up_to_what_the_last_one_has() {
        for (papers, parts) in [
            (vec![paper(1, 100)], vec![100]),
            (vec![paper(1, 100), paper(2, 250), paper(3, 260)], vec![100, 150, 10]),
            (vec![paper(1, 0), paper(2, 100), paper(3, 100)], vec![0, 100, 0]),
            // A volume price, or a correction.
            (vec![paper(1, 200), paper(2, 220), paper(3, 150)], vec![150, 0, 0]),
            (vec![paper(1, 100), paper(2, 60), paper(3, 160)], vec![60, 0, 100]),
            (vec![void(1, 100, 0), paper(2, 200), paper(3, 250)], vec![200, 50]),
            (vec![paper(1, 100), void(2, 200, 0), paper(3, 250)], vec![100, 150]),
            (vec![paper(1, 100), paper(2, 200), void(3, 250, 0)], vec![100, 100]),
            // What was credited on a void one stays credited.
            (vec![void(1, 100, 30), paper(2, 200), paper(3, 250)], vec![170, 50]),
            (vec![paper(1, 100), void(2, 200, 30), paper(3, 250)], vec![100, 120]),
            (vec![void(1, 100, 100), paper(2, 60)], vec![0]),
            (vec![void(1, 100, 100), paper(2, 60), paper(3, 150)], vec![0, 50]),
            // Void only after a later one had taken it off: the one after that bills it.
            (vec![void(1, 100, 0), taking_off(&[1], paper(2, 250))], vec![150]),
            (vec![void(1, 100, 0), taking_off(&[1], paper(2, 250)), taking_off(&[2], paper(3, 260))], vec![150, 110]),
            (vec![void(1, 100, 30), taking_off(&[1], paper(2, 250)), taking_off(&[2], paper(3, 260))], vec![150, 80]),
            (
                vec![
                    paper(1, 100),
                    void(2, 250, 0),
                    taking_off(&[1, 2], paper(3, 300)),
                    taking_off(&[1, 3], paper(4, 300)),
                ],
                vec![100, 50, 150],
            ),
        ] {
            let papers = Papers(papers);
            assert_eq!(all(&papers), parts, "{papers:?}");
        }
    }

    #[test]
    fn what_was_credited_is_given_back_once_where_the_line_becomes_cheaper() {
        for (papers, beyond) in [
            (vec![credited(50, paper(1, 200)), paper(2, 250)], vec![]),
            (vec![credited(50, paper(1, 200)), paper(2, 100)], vec![]),
            (vec![credited(150, paper(1, 200)), paper(2, 100)], vec![(0, 50)]),
            (vec![credited(200, paper(1, 200)), paper(2, 0)], vec![(0, 200)]),
            (vec![paper(1, 100), credited(100, paper(2, 200)), paper(3, 150)], vec![(1, 50)]),
            (vec![credited(100, paper(1, 100)), credited(100, paper(2, 200)), paper(3, 20)], vec![(0, 80), (1, 100)]),
            (vec![void(1, 100, 100), paper(2, 60)], vec![(0, 40)]),
            (vec![void(1, 100, 100), paper(2, 60), paper(3, 90)], vec![(0, 10)]),
            (vec![void(1, 100, 100), paper(2, 60), paper(3, 160)], vec![]),
        ] {
            let papers = Papers(papers);
            assert_eq!(papers.credited_beyond(), beyond, "{papers:?}");
        }
    }
}
