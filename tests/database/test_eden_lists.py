"""Lists that every Eden is seeded with under uuids of its own: joined by their names, on its real tables."""

import os

import pytest

from tests.support.schemas import build_database
from tests.support.sites import Site, assert_in_step, exchange

NAMED = (
    "hrm_certificate", "hrm_skill_type", "org_office_type", "org_organisation_type", "org_sector",
    "project_activity_type", "project_hazard", "project_status", "project_theme", "supply_catalog",
    "supply_person_item_status",
)  # fmt: skip
"""Lists whose rows need nothing but a name."""
BELOW = {
    "hrm_skill": ("skill_type_id", "hrm_skill_type"),
    "hrm_competency_rating": ("skill_type_id", "hrm_skill_type"),
    "supply_item_category": ("catalog_id", "supply_catalog"),
    "supply_item": ("catalog_id", "supply_catalog"),
    "supply_item_pack": ("item_id", "supply_item"),
}
"""Lists whose rows belong to a row of another list."""
USED = ("hrm_competency", "project_beneficiary_type", "org_organisation_type_tag")


@pytest.fixture(params=[("postgresql", "mariadb"), ("mariadb", "postgresql")], ids="-".join)
def edens(request, postgres, mariadb):
    servers = {"postgresql": postgres, "mariadb": mariadb}
    names = {kind: f"cc_{os.getpid()}_lists_{kind}" for kind in request.param}
    tables = (*NAMED, *BELOW, *USED)
    made = {kind: Site(build_database(servers[kind], name, "eden", tables)) for kind, name in names.items()}
    yield tuple(made.values())
    for kind, site in made.items():
        site.close()
        servers[kind].drop_database(names[kind])


def seed(site):
    """Let a first run fill the lists; return the ids by table."""
    ids = {table: site.eden.add(table, name="one").id for table in NAMED}
    for table, (column, parent) in BELOW.items():
        ids[table] = site.eden.add(table, name="one", **{column: ids[parent]}).id
    with site.eden.request():
        kind = site.eden.add("project_beneficiary_type", name="one")
        parameter = site.eden.insert(
            "stats_parameter",
            deleted="F", instance_type="project_beneficiary_type", uuid=kind.uuid, name="one",
        )  # fmt: skip
        site.eden.update("project_beneficiary_type", kind.id, parameter_id=parameter)
    return ids


def count_rows(site, table):
    ((rows,),) = site.eden.fetch(f"SELECT count(*) FROM {table}")
    return rows


def test_list_that_both_sites_were_seeded_with_is_one_list(edens):
    here, there = edens
    for site in edens:
        seed(site)
    exchange(here, there)
    exchange(here, there)
    for site in edens:
        rows = {table: count_rows(site, table) for table in (*NAMED, *BELOW, "project_beneficiary_type")}
        assert rows == dict.fromkeys(rows, 1)
        assert site.parked() == {}
    assert_in_step(here, there)


def test_what_people_can_do_is_said_in_the_words_of_each_site(edens):
    """A competency names the skill and the rating of its own site's lists."""
    here, there = edens
    ids = {site: seed(site) for site in edens}
    person = there.eden.add_person("Amina")
    there.eden.add(
        "hrm_competency",
        person_id=person.id,
        skill_id=ids[there]["hrm_skill"],
        competency_id=ids[there]["hrm_competency_rating"],
    )
    exchange(here, there)
    exchange(here, there)
    found = here.eden.fetch(
        "SELECT p.first_name, c.skill_id, c.competency_id FROM hrm_competency c "
        "JOIN pr_person p ON p.id = c.person_id"
    )
    assert found == [("Amina", ids[here]["hrm_skill"], ids[here]["hrm_competency_rating"])]
    assert_in_step(here, there)
