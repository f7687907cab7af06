"""What the benchmark of checkpoints measures is a checkpoint: a run goes on from it."""

from contextlib import closing

from benchmarks.checkpoint import NEW, Run
from ddpg.run.disk import folder


def test_what_was_saved_is_loaded(tmp_path):
    with folder.locked(tmp_path):
        run = Run(NEW, (8, 8), tmp_path)
        with closing(run.point):
            before = run.bytes_on_disk()
            run.go_on()
            run.save()
        with closing(run.load()) as point:
            assert point.place.step == 2 * NEW
            assert [row["step"] for row in point.log.evaluations] == [NEW, 2 * NEW]
            assert run.bytes_on_disk() >= before + NEW * run.rows[0].nbytes
