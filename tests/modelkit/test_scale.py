"""One function over many items: in this process, and on a Ray cluster of two nodes."""

import os
import sys

import pytest

from imgedit_modelkit.scale import Cluster, each
from imgedit_modelkit.testing import two_ray_nodes
from imgedit_plugins.errors import ImgeditError, PluginError

pytestmark = pytest.mark.torch  # Ray


class Squares:
    """Made once for each worker; says where."""

    def __init__(self):
        self.count = 0

    def __call__(self, item):
        import time

        if item == 13:
            raise ImgeditError("13 is unlucky.", hint="Leave it out.")
        time.sleep(0.2)  # so that one worker cannot do them all before the other is there
        self.count += 1
        node = ""
        if "ray" in sys.modules and sys.modules["ray"].is_initialized():
            node = sys.modules["ray"].get_runtime_context().get_node_id()
        return {"item": item, "square": item**2, "count": self.count, "pid": os.getpid(),
                "node": node}  # fmt: skip


def test_in_this_process():
    found = list(each(Squares, [3, 1, 2], Cluster()))
    assert [row["square"] for row in found] == [9, 1, 4]
    assert [row["count"] for row in found] == [1, 2, 3]
    assert {row["pid"] for row in found} == {os.getpid()}
    with pytest.raises(ImgeditError, match="unlucky"):
        list(each(Squares, [13], Cluster()))


def test_items_are_done_one_by_one():
    rows = each(Squares, [1, 13], Cluster())
    assert next(rows)["square"] == 1


def test_without_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PluginError, match="needs the package ray"):
        list(each(Squares, [1], Cluster("auto")))
    assert list(each(Squares, [], Cluster("auto"))) == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_on_two_nodes():
    import ray.cloudpickle

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers have no tests
    with two_ray_nodes() as address:
        cluster = Cluster(address, workers=2)
        found = list(each(Squares, range(12), cluster))
        assert sorted(row["square"] for row in found) == [n * n for n in range(12)]
        assert len({row["pid"] for row in found} - {os.getpid()}) == 2
        assert len({row["node"] for row in found}) == 2
        assert max(row["count"] for row in found) > 1, "a worker makes its function once"
        with pytest.raises(ImgeditError, match=r"13 is unlucky\. Leave it out\."):
            list(each(Squares, [1, 13, 2], cluster))


def test_no_cluster():
    with pytest.raises(PluginError, match=r"There is no Ray cluster at '127\.0\.0\.1:1'"):
        list(each(Squares, [1], Cluster("127.0.0.1:1")))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_on_a_ray_of_this_machine():
    import ray
    import ray.cloudpickle

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    found = list(each(Squares, [2, 3], Cluster("local")))
    assert sorted(row["square"] for row in found) == [4, 9]
    assert os.getpid() not in {row["pid"] for row in found}
    assert not ray.is_initialized(), "what was started here is ended here"
