"""What every adapter of `TaskQueue` does."""

from concurrent.futures import ThreadPoolExecutor

from bulkqa.ports import QueuedTask, TaskQueue

NOW = 1_000_000.0
LEASE = 60.0


def tasks(count: int, job: str = "dogs", label: str = "Dog") -> list[QueuedTask]:
    """So many pages of ten."""
    return [QueuedTask(job, number, label, 10) for number in range(count)]


def take(queue: TaskQueue, worker: str, now: float = NOW) -> tuple[str, int] | None:
    """The page a worker gets."""
    task = queue.take(worker, now, LEASE)
    return None if task is None else (task.job, task.number)


def test_a_worker_gets_each_page_once_in_order(queue: TaskQueue) -> None:
    """Pages come in order, one after the other, until none is left."""
    queue.add(tasks(3), 1)
    for number in range(3):
        assert take(queue, "ana") == ("dogs", number)
        queue.complete("ana", "dogs", number, {"confirm": 10})
    assert take(queue, "ana") is None
    assert queue.waiting("ana") == 0


def test_jobs_come_in_the_order_in_which_they_were_added(queue: TaskQueue) -> None:
    """The pages of the first job come before those of the second, whatever their names."""
    queue.add(tasks(1, "zebras"), 1)
    queue.add(tasks(1, "ants"), 1)
    assert take(queue, "ana") == ("zebras", 0)
    queue.complete("ana", "zebras", 0, {})
    assert take(queue, "ana") == ("ants", 0)


def test_a_worker_keeps_the_page_in_hand(queue: TaskQueue) -> None:
    """Asking again gives the same page, until it is answered."""
    queue.add(tasks(2), 1)
    assert take(queue, "ana") == take(queue, "ana") == ("dogs", 0)


def test_a_page_goes_to_as_many_as_it_needs(queue: TaskQueue) -> None:
    """With two reviews wanted, two workers get a page and a third gets the next."""
    queue.add(tasks(2), 2)
    assert take(queue, "ana") == take(queue, "ben") == ("dogs", 0)
    assert take(queue, "cem") == ("dogs", 1)
    queue.complete("ana", "dogs", 0, {})
    queue.complete("ben", "dogs", 0, {})
    assert take(queue, "ana") == ("dogs", 1)
    assert take(queue, "ben") is None
    assert queue.waiting("ben") == 1


def test_a_lease_ends(queue: TaskQueue) -> None:
    """After its time a page goes to another; the first worker may still answer, and gets the next one."""
    queue.add(tasks(2), 1)
    take(queue, "ana")
    assert take(queue, "ben") == ("dogs", 1)
    queue.complete("ben", "dogs", 1, {})
    assert take(queue, "ben") is None
    assert take(queue, "ben", NOW + LEASE + 1) == ("dogs", 0)
    assert queue.holds("ana", "dogs", 0)
    assert take(queue, "ana", NOW + LEASE + 2) is None


def test_a_page_whose_lease_ended_comes_back_to_its_worker(queue: TaskQueue) -> None:
    """Nobody else took it: its worker goes on where they were."""
    queue.add(tasks(2), 1)
    take(queue, "ana")
    assert take(queue, "ana", NOW + 10 * LEASE) == ("dogs", 0)


def test_a_page_given_back_goes_to_others_first(queue: TaskQueue) -> None:
    """Who gives a page back gets another one, and that one again when there is no other."""
    queue.add(tasks(2), 1)
    take(queue, "ana")
    queue.give_back("ana", "dogs", 0)
    assert not queue.holds("ana", "dogs", 0)
    assert take(queue, "ana") == ("dogs", 1)
    queue.complete("ana", "dogs", 1, {})
    assert take(queue, "ana") == ("dogs", 0)


def test_giving_back_does_not_undo_an_answer(queue: TaskQueue) -> None:
    """A page that was answered stays answered."""
    queue.add(tasks(1), 1)
    take(queue, "ana")
    queue.complete("ana", "dogs", 0, {})
    queue.give_back("ana", "dogs", 0)
    assert queue.completed("dogs") == {(0, "ana")}
    assert take(queue, "ana") is None


def test_only_who_was_given_a_page_holds_it(queue: TaskQueue) -> None:
    """A worker holds neither a page never taken nor one of another job."""
    queue.add(tasks(2), 1)
    take(queue, "ana")
    assert queue.holds("ana", "dogs", 0)
    assert not queue.holds("ana", "dogs", 1)
    assert not queue.holds("ben", "dogs", 0)
    assert not queue.holds("ana", "cats", 0)


def test_an_answer_is_noted_once(queue: TaskQueue) -> None:
    """Noting an answer again, even with other numbers, changes nothing."""
    queue.add(tasks(1), 3)
    take(queue, "ana")
    queue.complete("ana", "dogs", 0, {"confirm": 9, "disconfirm": 1})
    queue.complete("ana", "dogs", 0, {"confirm": 1})
    assert queue.progress("dogs")["Dog"].answers == 1
    assert queue.work_of("ana") == (1, {"confirm": 9, "disconfirm": 1})


def test_adding_again_keeps_what_is_done(queue: TaskQueue) -> None:
    """Pages that are there already stay as they are."""
    queue.add(tasks(2), 1)
    take(queue, "ana")
    queue.complete("ana", "dogs", 0, {})
    queue.add(tasks(3), 1)
    assert queue.progress("dogs")["Dog"].pages == 3
    assert queue.progress("dogs")["Dog"].done == 1


def test_pages_of_a_closed_label_go_to_nobody(queue: TaskQueue) -> None:
    """From then on the next page is of another label, whether a page is new, given back or half answered."""
    queue.add([QueuedTask("j", number, "cat" if number < 3 else "dog", 10) for number in range(5)], 2)
    queue.add([QueuedTask("k", 0, "cat", 10)], 2)
    take(queue, "ana")
    queue.complete("ana", "j", 0, {})
    take(queue, "ben")
    queue.give_back("ben", "j", 0)
    assert queue.waiting("ana") == 5
    queue.close("j", "cat")
    queue.close("j", "cat")
    queue.close("j", "no such label")
    assert queue.waiting("ana") == 3
    for worker in ("ana", "ben"):
        for page in (("j", 3), ("j", 4), ("k", 0)):
            assert take(queue, worker) == page
            queue.complete(worker, *page, {})
        assert take(queue, worker) is None


def test_a_page_in_hand_is_kept_when_its_label_closes(queue: TaskQueue) -> None:
    """Its worker comes back to it and may answer; nobody else gets it when the lease is over."""
    queue.add(tasks(2), 1)
    take(queue, "ana")
    queue.close("dogs", "Dog")
    assert take(queue, "ana") == ("dogs", 0)
    assert take(queue, "ben", NOW + 2 * LEASE) is None
    assert queue.waiting("ben") == 0
    assert queue.holds("ana", "dogs", 0)
    queue.complete("ana", "dogs", 0, {})
    assert queue.completed("dogs") == {(0, "ana")}
    assert take(queue, "ana") is None


def test_progress_leaves_out_what_was_closed(queue: TaskQueue) -> None:
    """Of a closed label those pages count that have all their answers, also those that come after."""
    queue.add([*tasks(4), QueuedTask("dogs", 4, "Cat", 10)], 2)
    for page, workers in ((0, "ab"), (1, "a")):
        for worker in workers:
            queue.complete(worker, "dogs", page, {})
    assert queue.done("dogs", "Dog") == {0}
    queue.close("dogs", "Dog")
    assert queue.progress("dogs")["Dog"] == (1, 1, 2, 2, 10, 10)
    assert queue.progress("dogs")["Cat"] == (1, 0, 0, 2, 10, 0)
    queue.complete("b", "dogs", 1, {})
    assert queue.progress("dogs")["Dog"] == (2, 2, 4, 4, 20, 20)
    assert queue.done("dogs", "Dog") == {0, 1}
    assert queue.done("dogs", "Cat") == queue.done("cats", "Dog") == set()


def test_adding_again_keeps_closed_what_is(queue: TaskQueue) -> None:
    """A page that is there already stays closed."""
    queue.add(tasks(1), 1)
    queue.close("dogs", "Dog")
    queue.add(tasks(1), 1)
    assert take(queue, "ana") is None


def test_progress_is_told_by_label(queue: TaskQueue) -> None:
    """Pages, answers and items are summed by label, labels in code-point order."""
    queue.add([QueuedTask("j", 0, "b", 25), QueuedTask("j", 1, "b", 5), QueuedTask("j", 2, "B", 7)], 2)
    for worker in ("ana", "ben"):
        take(queue, worker)
        queue.complete(worker, "j", 0, {})
    progress = queue.progress("j")
    assert list(progress) == ["B", "b"]
    line = progress["b"]
    assert (line.pages, line.done, line.answers, line.wanted) == (2, 1, 2, 4)
    assert (line.items, line.items_done) == (30, 25)
    assert queue.progress("nothing") == {}


def test_many_at_once_share_the_pages(queue: TaskQueue) -> None:
    """Eight workers at once answer each page exactly as often as wanted, nobody a page twice."""
    queue.add(tasks(40), 2)

    def work(worker: str) -> int:
        answered = 0
        while task := queue.take(worker, NOW, LEASE):
            queue.complete(worker, task.job, task.number, {"confirm": 10})
            answered += 1
        return answered

    with ThreadPoolExecutor(8) as pool:
        answered = list(pool.map(work, [f"w{number}" for number in range(8)]))
    # A worker may find nothing free for a moment and leave; the pages left then go to the one who stays.
    left = work("late") + work("later")
    assert sum(answered) + left == 80
    assert len(queue.completed("dogs")) == 80
    line = queue.progress("dogs")["Dog"]
    assert (line.done, line.answers) == (40, 80)
