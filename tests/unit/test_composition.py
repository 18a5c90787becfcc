"""How calling ops in the body of a job makes the dependencies between them."""

from __future__ import annotations

import pytest

import controlplane as dg


@dg.op
def one(): ...


@dg.op
def two(): ...


@dg.op
def add(a, b): ...


@dg.op
def scale(value, factor=2): ...


@dg.op
def collect(context, values): ...


def nodes(job):
    return {node.key: node for node in job.nodes}


def test_outputs_passed_on_are_the_dependencies():
    @dg.job
    def sums():
        add(one(), b=two())

    found = nodes(sums)
    assert list(found) == ["one", "two", "add"]
    assert found["add"].inputs == {"a": "one", "b": "two"}
    assert found["add"].upstream == ("one", "two")
    assert found["one"].upstream == ()


def test_one_output_may_be_used_more_than_once():
    @dg.job
    def twice():
        value = one()
        add(value, value)

    assert nodes(twice)["add"].inputs == {"a": "one", "b": "one"}
    assert nodes(twice)["add"].upstream == ("one",)


def test_a_list_of_outputs_is_a_list_of_values():
    @dg.job
    def fan_in():
        collect([one(), two(), scale(one())])

    found = nodes(fan_in)
    assert found["collect"].inputs == {"values": ("one", "two", "scale")}
    assert found["collect"].upstream == ("one", "two", "scale")
    assert found["scale"].inputs == {"value": "one_2"}


def test_an_op_called_again_gets_the_next_free_step_key():
    @dg.job
    def many():
        one()
        one.alias("one_2")()
        one()
        one()

    assert list(nodes(many)) == ["one", "one_2", "one_3", "one_4"]


def test_an_alias_is_a_step_key_of_its_own():
    @dg.job
    def aliased():
        add(one.alias("left")(), one.alias("right")())

    found = nodes(aliased)
    assert list(found) == ["left", "right", "add"]
    assert found["left"].op is one


def test_inputs_with_a_default_may_be_left_out():
    @dg.job
    def defaults():
        scale(one())

    assert nodes(defaults)["scale"].inputs == {"value": "one"}


def test_the_ops_of_a_job_can_be_called_plainly_after_it_was_defined():
    @dg.job
    def sums():
        one()

    assert one() is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda: None, "job wrong: it calls no op."),
        (lambda: add(one()), "job wrong, op add: input 'b' is missing; pass the output of another op."),
        (lambda: add(one(), two(), one()), "job wrong, op add: 3 inputs given, it takes 2."),
        (lambda: add(one(), c=two()), "job wrong, op add: no input 'c'; it takes a, b."),
        (lambda: one(x=two()), "job wrong, op one: no input 'x'; it takes none."),
        (lambda: add(one(), a=two()), "job wrong, op add: input 'a' given twice."),
        (
            lambda: scale(3),
            "job wrong, op scale: input 'value': 3 is not allowed: "
            "pass the output of an op of this job, or a list of them.",
        ),
        (
            lambda: scale([]),
            "job wrong, op scale: input 'value': [] is not allowed: "
            "pass the output of an op of this job, or a list of them.",
        ),
        (
            lambda: (one.alias("x")(), two.alias("x")()),
            "job wrong: step key x stands twice; give each alias once.",
        ),
        (lambda: (one(), two.alias("one")()), "job wrong: step key one stands twice; give each alias once."),
    ],
)
def test_wrong_calls_name_the_job_the_op_and_the_input(body, said):
    body.__name__ = "wrong"
    with pytest.raises(dg.DefinitionError) as error:
        dg.job(body)
    assert str(error.value) == said


def test_an_output_of_another_job_is_refused():
    kept = []

    @dg.job
    def first():
        kept.append(two())

    with pytest.raises(dg.DefinitionError, match="pass the output of an op of this job"):

        @dg.job
        def second():
            scale(kept[0])


def test_an_alias_must_be_a_name_and_is_called_only_in_a_job():
    with pytest.raises(dg.DefinitionError, match="alias of op one: 'a b' is not a name"):
        one.alias("a b")
    with pytest.raises(dg.DefinitionError, match="alias left of op one can be called only inside @job"):
        one.alias("left")()


def test_an_asset_is_no_op_of_a_job():
    """Its step key is its name, whichever job runs it: under another key another asset would be run."""

    @dg.asset
    def orders(): ...

    with pytest.raises(dg.DefinitionError) as error:
        dg.job(lambda: orders(), name="wrong")
    assert str(error.value) == (
        "job wrong: asset orders can't be called in the body of a job: "
        "select it with define_asset_job, or make it an op."
    )
    with pytest.raises(dg.DefinitionError, match=r"asset orders: an asset has no alias"):
        orders.alias("customers")
    assert orders() is None


def test_a_step_key_is_at_most_200_characters_long():
    long_name = dg.op(name="x" * 200)(lambda: None)
    with pytest.raises(dg.DefinitionError) as error:
        dg.job(lambda: (long_name(), long_name()), name="wrong")
    said = f"job wrong: step key {'x' * 200}_2 is longer than 200 characters: give it a shorter alias."
    assert str(error.value) == said


def test_a_failed_job_does_not_poison_the_next():
    with pytest.raises(ZeroDivisionError):

        @dg.job
        def broken():
            one()
            raise ZeroDivisionError

    @dg.job
    def fine():
        two()

    assert list(nodes(fine)) == ["two"]


def test_a_job_in_a_job_is_refused():
    with pytest.raises(dg.DefinitionError, match="job inner: a job can't be defined inside another"):

        @dg.job
        def outer():
            @dg.job
            def inner():
                one()
