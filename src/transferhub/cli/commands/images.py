"""`dth images`."""

from __future__ import annotations

from typing import Any

import click

from transferhub.cli import images_options, options
from transferhub.cli.app import App
from transferhub.cli.documents import print_json
from transferhub.cli.exits import ExitCode
from transferhub.cli.grouped import Command, Option
from transferhub.cli.images_job import read_images_job
from transferhub.cli.images_plan import plan_document, plan_lines
from transferhub.cli.text import noun_of

EXAMPLES = """
    See what would happen, and how much would be uploaded:
      dth images ghcr.io/team ecr://eu-west-1/team --all --dry-run

    From Amazon ECR to Amazon ECR in China, with credentials of its own:
      dth images ecr://eu-west-1 ecr://cn-north-1 --all --include "app/**" \\
        --destination-profile china

    Images of Docker Hub, or of any registry, into Amazon ECR:
      dth images docker.io ecr://eu-west-1 --images "nginx:1.27, redis:7, busybox:ALL_TAGS"
      dth images public ecr://eu-west-1/mirror --images images.txt

    Only the five newest releases of each repository, for one platform:
      dth images ghcr.io/team registry.example.com --all --semver ">=2" --newest 5 \\
        --platform linux/amd64

    Keep one registry a mirror of another, but never delete more than 50 tags:
      dth images old.example.com new.example.com --all --prune --max-delete 50

    With signatures and SBOMs, under other names:
      dth images ghcr.io/team ecr://us-east-1 --all --referrers --rename web=frontend

    The same command again copies only what has changed since.
"""


@click.pass_obj
def images(app: App, /, **params: Any) -> ExitCode:
    spec, settings = read_images_job(params)
    with app.session(params, settings) as session:
        session.speak_of(noun_of(spec.kind))
        if params["dry_run"]:
            plan = session.host.plan_images(spec)
            session.display.close()
            if session.json:
                print_json(plan_document(plan, spec), app.out)
            else:
                app.out.lines(plan_lines(plan, spec))
            return ExitCode.OK
        return session.carry(
            lambda: session.host.transfer(spec, settings.tuning(), resume=not params["no_resume"])
        )


command = Command(
    "images",
    callback=images,
    short_help="Replicate container images from one registry to another.",
    help="""Replicate container images from SOURCE to DESTINATION, bit for bit.

    What is there already is left alone: both sides are asked for digests first, and only blobs
    that the destination has nowhere are uploaded. Each image is looked at again when it has been
    copied. One that fails does not stop the others, and a report names each one that was not the
    same. A run that was interrupted is picked up by the same command.
    """,
    examples=EXAMPLES,
    params=options.chain(
        images_options.registry_arguments(),
        images_options.registry_options("source"),
        images_options.registry_options("destination"),
        images_options.image_options(),
        images_options.repository_options(),
        images_options.pruning_options(),
        images_options.image_speed_options(),
        [
            Option(
                ["--dry-run"],
                section="Output",
                is_flag=True,
                help="Only tell what would be done: rows, bytes to upload, manifests to read.",
            ),
            options.no_resume_option(),
        ],
        options.output_options(
            progress=True,
            json="the end of the run, or of --dry-run all counts and the first 1,000 rows,",
        ),
    ),
)
