"""Skills that each site seeds under keys of its own, joined by their names; grades below them."""

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.property.machine.base import SitesMachine, places, texts

names = st.sampled_from(["x", "y"])


class SeedsMachine(SitesMachine):
    """Skills that each site seeds under keys of its own, joined by their names; grades below them."""

    may_stay_parked = frozenset(["reference"])
    judged = False

    @initialize()
    def begin(self):
        for place in range(2):
            self.write_skill(place, "x", None)
            self.write_grade(place, "x", None)

    @rule(place=places, name=names, text=texts)
    def write_skill(self, place, name, text):
        run = self.sites[place].family
        if not run("UPDATE skill SET note = %s WHERE name = %s", text, name):
            run("INSERT INTO skill (uuid, name) VALUES (%s, %s)", self.new_key(place, name), name)

    @rule(place=places, skill=names, text=texts)
    def write_grade(self, place, skill, text):
        run = self.sites[place].family
        for (id_,) in run.rows("SELECT id FROM skill WHERE name = %s", skill):
            if not run("UPDATE grade SET note = %s WHERE skill_id = %s", text, id_):
                key = self.new_key(place, f"grade {skill}")
                run("INSERT INTO grade (uuid, name, skill_id) VALUES (%s, 'one', %s)", key, id_)

    @rule(place=places, name=names)
    def delete_skill(self, place, name):
        run = self.sites[place].family
        for (id_,) in run.rows("SELECT id FROM skill WHERE name = %s", name):
            run("DELETE FROM grade WHERE skill_id = %s", id_)
            run("DELETE FROM skill WHERE id = %s", id_)

    @rule(source=places, to=places, name=names, text=texts, verb=st.sampled_from(["skill", "grade", "none"]))
    def write_beside_a_pull(self, source, to, name, text, verb):
        acts = {
            "skill": lambda: self.write_skill(to, name, text),
            "grade": lambda: self.write_grade(to, name, text),
            "none": lambda: self.delete_skill(to, name),
        }
        self.receive_beside(source, to, acts[verb])

    def new_key(self, place, name):
        self.made = getattr(self, "made", 0) + 1
        return f"{self.made} {place} {name}"
