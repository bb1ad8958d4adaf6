"""What is asked of a hub, as GraphQL documents; each has one field."""

from __future__ import annotations

_RUN = """
id task taskVersion state trigger order createdAt startedAt endedAt scheduledAt resumed worker
errorCode error notes faults
progress {
  listing scannedSource scannedDestination same new changed extra filtered archived fallbacks
  sourceBytes copyBytes bytes done failed vanished skipped deleted deleteFailed waiting
}
"""
_TASK = f"""
id name kind description tags owner spec state nextRunAt createdAt updatedAt version
schedule {{
  once every anchor cron zone jitter overlap catchUp mostCaughtUp
  windows {{ kind days from to zone bandwidth }}
}}
limits {{ bandwidth requests concurrency }}
latestRun {{ {_RUN} }}
"""
_TRANSFER = """
key difference action state size etag destinationEtag modifiedAt storageClass attempts movedBytes
code message note endedAt history { at code message }
"""
_WORKER = """
id kind host pid version startedAt seenAt draining runs leases objectsPerSecond bytesPerSecond
"""
_USER = "name role createdAt disabled"
_TOKEN = "id label owner role scopes createdAt endsAt revokedAt"  # noqa: S105 - names of fields
_CHANNEL = "name kind settings described createdAt updatedAt version"
_CREDENTIAL = "name kind described createdAt updatedAt version"

# Tasks

TASK = f"query($id: ID!) {{ task(id: $id) {{ {_TASK} }} }}"
TASKS = f"""
query($filter: TaskFilterInput, $search: String, $sort: TaskSort, $first: Int, $after: String) {{
  tasks(
    filter: $filter, search: $search, sort: $sort, descending: false, first: $first, after: $after
  ) {{ items {{ {_TASK} }} cursor total }}
}}
"""
CREATE_TASK = f"mutation($input: TaskInput!) {{ createTask(input: $input) {{ {_TASK} }} }}"
UPDATE_TASK = f"""
mutation($id: ID!, $version: Int!, $input: TaskInput!) {{
  updateTask(id: $id, version: $version, input: $input) {{ {_TASK} }}
}}
"""
CLONE_TASK = f"""
mutation($id: ID!, $name: String!) {{ cloneTask(id: $id, name: $name) {{ {_TASK} }} }}
"""
PAUSE_TASK = f"mutation($id: ID!) {{ pauseTask(id: $id) {{ {_TASK} }} }}"
RESUME_TASK = f"mutation($id: ID!) {{ resumeTask(id: $id) {{ {_TASK} }} }}"
LIMIT_TASK = f"""
mutation($id: ID!, $limits: TaskLimitsInput!) {{
  setTaskLimits(id: $id, limits: $limits) {{ {_TASK} }}
}}
"""
DELETE_TASK = "mutation($id: ID!, $purge: Boolean) { deleteTask(id: $id, purge: $purge) }"
NEXT_RUNS = "query($id: ID!, $first: Int) { nextRuns(task: $id, first: $first) }"

# Runs

RUNS = f"""
query($filter: RunFilterInput, $first: Int, $after: String) {{
  runs(filter: $filter, first: $first, after: $after) {{ items {{ {_RUN} }} cursor }}
}}
"""
RUN_IDS = """
query($first: Int, $after: String) {
  runs(first: $first, after: $after) { items { id } cursor }
}
"""
RUN = f"query($id: ID!) {{ run(id: $id) {{ {_RUN} }} }}"
START_RUN = f"mutation($id: ID!) {{ startRun(task: $id) {{ {_RUN} }} }}"
STOP_RUN = f"""
mutation($id: ID!, $abandon: Boolean) {{ stopRun(id: $id, abandon: $abandon) {{ {_RUN} }} }}
"""
RETRY_RUN = f"""
mutation($id: ID!, $code: String, $key: String) {{
  retryRun(id: $id, code: $code, key: $key) {{ count run {{ {_RUN} }} }}
}}
"""
FAILURES = f"""
query($id: ID!, $code: String, $key: String, $first: Int, $after: String) {{
  failures(run: $id, code: $code, key: $key, first: $first, after: $after) {{
    items {{ {_TRANSFER} }} cursor
  }}
}}
"""
FAILURE_GROUPS = """
query($id: ID!) { failureGroups(run: $id) { code count size exampleKey exampleMessage } }
"""

LOGS = """
query($id: ID!, $level: LogLevel, $search: String, $first: Int, $after: String) {
  logs(run: $id, level: $level, search: $search, first: $first, after: $after) {
    items { number at level action message task run worker } before after more dropped
  }
}
"""

# The fleet, people and credentials

WORKERS = f"query {{ workers {{ {_WORKER} }} }}"
DRAIN_WORKER = "mutation($id: ID!) { drainWorker(id: $id) { id } }"
USERS = f"""
query($first: Int, $after: String) {{
  users(first: $first, after: $after) {{ items {{ {_USER} }} cursor }}
}}
"""
CREATE_USER = f"""
mutation($name: String!, $password: String!, $role: Role!) {{
  createUser(name: $name, password: $password, role: $role) {{ {_USER} }}
}}
"""
SET_USER_ROLE = f"""
mutation($name: String!, $role: Role!) {{ setUserRole(name: $name, role: $role) {{ {_USER} }} }}
"""
DISABLE_USER = f"mutation($name: String!) {{ disableUser(name: $name) {{ {_USER} }} }}"
ENABLE_USER = f"mutation($name: String!) {{ enableUser(name: $name) {{ {_USER} }} }}"
SET_PASSWORD = """
mutation($name: String!, $password: String!) { setPassword(name: $name, password: $password) }
"""  # noqa: S105 - no secret
CREATE_LINK = """
mutation($name: String!, $role: Role!, $duration: String) {
  createLink(name: $name, role: $role, duration: $duration) { secret }
}
"""
TOKENS = f"query {{ tokens {{ {_TOKEN} }} }}"
CREATE_TOKEN = f"""
mutation($label: String!, $role: Role!, $duration: String!, $scopes: [Scope!]) {{
  createToken(label: $label, role: $role, duration: $duration, scopes: $scopes) {{
    secret token {{ {_TOKEN} }}
  }}
}}
"""
REVOKE_TOKEN = "mutation($id: ID!) { revokeToken(id: $id) }"  # noqa: S105 - no secret
CREDENTIALS = f"""
query($first: Int, $after: String) {{
  credentials(first: $first, after: $after) {{ items {{ {_CREDENTIAL} }} cursor }}
}}
"""
PUT_CREDENTIAL = f"""
mutation($input: CredentialInput!) {{ putCredential(input: $input) {{ {_CREDENTIAL} }} }}
"""
DELETE_CREDENTIAL = "mutation($name: String!) { deleteCredential(name: $name) }"
ROTATE_CREDENTIALS = "mutation { rotateCredentials }"
CHANNELS = f"query {{ channels {{ {_CHANNEL} }} }}"
PUT_CHANNEL = f"""
mutation($input: ChannelInput!) {{ putChannel(input: $input) {{ {_CHANNEL} }} }}
"""
TEST_CHANNEL = """
mutation($name: String!) { testChannel(name: $name) { delivered sentence } }
"""
DELETE_CHANNEL = "mutation($name: String!) { deleteChannel(name: $name) }"
AUDIT = """
query($who: String, $action: String, $subject: String, $first: Int, $after: String) {
  audit(who: $who, action: $action, subject: $subject, first: $first, after: $after) {
    items { number at who how action subject before after } cursor
  }
}
"""
