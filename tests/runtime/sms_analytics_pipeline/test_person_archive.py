"""One person taken out of the archive's lines, and out of what SQL writes; nobody else is touched."""

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sms_engagement_runtime.sms_analytics_pipeline.adapters.archive_json import ArchiveLine
from sms_engagement_runtime.sms_analytics_pipeline.adapters.person_archive import PersonArchive, Version
from sms_engagement_runtime.sms_analytics_pipeline.domain.archive import raw_key
from sms_engagement_runtime.sms_analytics_pipeline.domain.compaction import ArchivedPerson, rewrite
from sms_engagement_runtime.sms_analytics_pipeline.domain.rebuilding import Days, person_statement
from tests.support.archived_lines import packed
from tests.support.event_archives import DAY as COMPACTED_DAY
from tests.support.event_archives import MemoryEventArchive
from tests.support.fakes import Crash

HER = ArchivedPerson(subscriber_id="v1:her", phone_number="+12025550143")
OTHERS = st.sampled_from(["v1:him", "v1:here", "v1:he"])
NUMBERS = st.sampled_from(["+12025550143", "+120255501430", "+12025550156", None])
WORDS = st.sampled_from(["call +12025550143 please", "v1:her", 'a "quoted" word', "\u2028", "fine"])
DAY, NOON = date(2026, 3, 1), 1_772_366_400_000

archive = PersonArchive(None, bucket="archive", person=HER)  # type: ignore[arg-type]


def encoded(lines):
    return [json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines]


lines = st.lists(
    st.fixed_dictionaries(
        {"subscriber_id": OTHERS | st.just("v1:her"), "phone_number": NUMBERS, "response_text": WORDS}
    ),
    max_size=20,
)


@given(lines)
def test_her_lines_go_and_all_others_stay_byte_for_byte(found):
    hers = [
        line
        for line in found
        if line["subscriber_id"] == HER.subscriber_id or line["phone_number"] == HER.phone_number
    ]

    theirs, rest = archive._split(b"".join(encoded(found)))

    assert theirs == encoded(hers)
    assert rest == b"".join(encoded(line for line in found if line not in hers))


@given(lines)
def test_taking_her_out_twice_is_taking_her_out_once(found):
    _, rest = archive._split(b"".join(encoded(found)))

    assert archive._split(rest) == ([], rest)


def test_a_record_that_could_not_be_read_is_looked_into_though_it_is_base64():
    hers = b'{"shardId":"s","sequenceNumber":"1","reason":"NOT_JSON","data":"eCArMTIwMjU1NTAxNDMgeA=="}\n'
    his = b'{"shardId":"s","sequenceNumber":"2","reason":"NOT_JSON","data":"eCArMTIwMjU1NTAxNTYgeA=="}\n'
    version = Version("quarantine/archive/s-1.jsonl", "v", is_latest=True)

    assert archive._split_loose(version, hers + his) == ([hers], his)


@pytest.fixture
def sql(tmp_path):
    from tests.support.archive_sql import ArchiveSql

    sql = ArchiveSql(tmp_path)
    people = [("v1:her", "+12025550143"), ("v1:old", "+12025550143"), ("v1:her", None), ("v1:him", None)]
    archived = [
        ArchiveLine(
            event_type="_SMS.SUCCESS",
            event_id=f"event-{number}",
            event_timestamp=NOON + number,
            arrival_timestamp=NOON + number,
            subscriber_id=subscriber,
            phone_number=phone,
        )
        for number, (subscriber, phone) in enumerate(people)
    ]
    sql.write(raw_key(DAY, "shard", "1"), packed(archived))
    return sql


def test_a_day_is_written_anew_without_her_by_id_and_by_number(sql):
    sql.compact(DAY, "all", without=HER)

    rows = sql.ask('SELECT subscriber_id, event_id FROM "archive"."compacted_events"')
    assert rows == [{"subscriber_id": "v1:him", "event_id": "event-3"}]


def test_her_compacted_events_are_found_by_id_and_by_number(sql):
    sql.compact(DAY, "all")
    statement = person_statement(
        HER, Days(DAY, DAY), database="archive", table="compacted_events", destination="s3://bucket/x/"
    )
    select, _, _ = statement.removeprefix("UNLOAD (").rpartition("\n)\nTO ")

    assert {row["event_id"] for row in sql.ask(select)} == {"event-0", "event-1", "event-2"}


def test_a_number_in_a_statement_cannot_end_its_quotes():
    assert ArchivedPerson(subscriber_id="a' OR 'b", phone_number="+1").condition.count("''") == 3


class TestRewriting:
    """In the test archive an event is a number; hers is 2."""

    def compacted(self):
        archive = MemoryEventArchive()
        archive.write(1, 1, 2, 3)
        archive.compact()
        return archive

    def without_her(self, archive, name="again"):
        def unload(day, staging):
            archive.unload(day, staging)
            for key in archive.keys(staging):
                archive.put(key, [event for event in archive.content(key) if event != 2])

        rewrite(COMPACTED_DAY, attempt=name, store=archive.store, unload=unload)

    def test_a_compacted_day_is_without_her_and_has_all_others_once(self):
        archive = self.compacted()

        self.without_her(archive)

        assert sorted(archive.read("compacted/")) == [1, 3]
        assert archive.read("compacting/") == []

    def test_at_every_moment_others_are_there_and_a_crash_anywhere_is_finished_by_another_run(self):
        crashed = 0
        while True:
            archive = self.compacted()
            crashed += 1
            end = archive.steps + crashed

            def crash(step, end=end, archive=archive):
                assert {1, 3} <= set(archive.read("compacted/")) | set(archive.read("events/"))
                if step == end:
                    raise Crash

            archive.before = crash
            try:
                self.without_her(archive)
            except Crash:
                archive.before = lambda _: None
                self.without_her(archive, "after the crash")
                assert sorted(archive.read("compacted/")) == [1, 3]
                continue
            break
        assert crashed > 8
