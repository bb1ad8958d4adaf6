"""The words of notifications, in English and Chinese."""

# ruff: noqa: RUF001 - Chinese has signs of its own

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transferhub.model.notice import Language, NoticeKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """Templates of one language; `{}` fields are named as in `Letter`'s making.

    Attributes:
        things: what tasks of each kind move.
        titles: of one notice.
        plural_titles: of `count` notices.
        codes: what failures of a code mean.
    """

    things: Mapping[str, str]
    titles: Mapping[NoticeKind, str]
    plural_titles: Mapping[NoticeKind, str]
    figures: str
    failed: str
    cause: str
    keys: str
    reason: str
    lag: str
    lost: str
    first_only: str
    look: str
    trial_title: str
    trial: str
    codes: Mapping[str, str]


_EN = Phrases(
    things={"objects": "objects", "images": "images"},
    titles={
        NoticeKind.RUN_FINISHED: "{task}: the run has finished",
        NoticeKind.RUN_FAILED: "{task}: the run has failed",
        NoticeKind.COMPLETED_WITH_FAILURES: "{task}: the run has ended, but not all was copied",
        NoticeKind.DEAD_LETTERS: "{task}: {things} fail for good",
        NoticeKind.GUARD_TRIPPED: "{task}: a guard has stopped the run",
        NoticeKind.EVENT_LAG: "{task}: events are handled late",
        NoticeKind.WORKER_LOST: "A machine of the hub is lost: {task}",
    },
    plural_titles={
        NoticeKind.RUN_FINISHED: "{task}: {count} runs have finished",
        NoticeKind.RUN_FAILED: "{task}: {count} runs have failed",
        NoticeKind.COMPLETED_WITH_FAILURES: "{task}: {count} runs have ended with failures",
        NoticeKind.DEAD_LETTERS: "{task}: {things} fail for good",
        NoticeKind.GUARD_TRIPPED: "{task}: a guard has stopped {count} runs",
        NoticeKind.EVENT_LAG: "{task}: events are handled late",
        NoticeKind.WORKER_LOST: "{count} machines of the hub are lost",
    },
    figures="{objects} {things} copied, {size} moved, in {time}.",
    failed="{Things} that failed: {failed}.",
    cause="{count} × {code}: {meaning}",
    keys="The first of them:",
    reason="Reason ({code}): {detail}",
    lag="The oldest event has waited for {time}.",
    lost="{host} gave no sign of life any more. What it carried ({runs} runs) goes on elsewhere.",
    first_only="Figures are of the first {most}.",
    look="Look at it",
    trial_title="Test of the channel {name}",
    trial="This is a test. Notifications of Data Transfer Hub will arrive here.",
    codes={
        "no_credentials": "no credentials were found",
        "bad_credentials": "the store does not accept the keys",
        "expired_credentials": "the session token has expired",
        "denied": "a permission is missing",
        "no_bucket": "there is no such bucket or folder",
        "no_queue": "there is no such SQS queue",
        "wrong_region": "the bucket is in another region",
        "clock_skew": "this machine's clock is wrong",
        "tls": "the certificate is not trusted",
        "unreachable": "the store cannot be reached",
        "timeout": "the store did not answer in time",
        "transient": "a passing fault of the store or the network, again and again",
        "throttled": "the store asks to slow down",
        "garbled": "what answers is no S3 store",
        "listing_loops": "the store's listing never ends",
        "store": "the store failed",
        "not_found": "the object is not there any more",
        "changed": "the object changes faster than it can be copied",
        "archived": "the object must be restored first",
        "unsupported": "the destination cannot hold this",
        "bad_key": "the destination cannot hold this key",
        "corrupt": "the bytes do not have their checksum",
        "short_read": "the store gave fewer bytes than it promised",
        "wrong_etag": "the destination holds other bytes than were written",
        "bad_part": "the destination does not hold a part as it was sent",
        "no_upload": "someone else ended the multipart upload",
        "disk_full": "the disk is full",
        "no_registry": "what answers is no registry of images",
        "no_catalog": "the registry does not list its repositories",
        "no_repository": "there is no such repository of images",
        "no_blob": "the repository does not hold all that the image needs",
        "not_verified": "the copy does not have the digest of the original",
        "bad_reference": "the registry cannot hold this name",
        "bad_manifest": "the registry cannot hold an image of this kind",
        "nested_index": "it is an index of indexes",
        "no_platform": "the image is not there for this platform",
        "immutable_tag": "the tag holds another image and may not be moved",
        "quota": "a limit of the registry is reached",
        "gave_up": "all attempts are spent",
        "internal": "a fault of Data Transfer Hub",
    },
)

_ZH = Phrases(
    things={"objects": "对象", "images": "镜像"},
    titles={
        NoticeKind.RUN_FINISHED: "{task}:运行已完成",
        NoticeKind.RUN_FAILED: "{task}:运行失败",
        NoticeKind.COMPLETED_WITH_FAILURES: "{task}:运行已结束,但有{things}未能复制",
        NoticeKind.DEAD_LETTERS: "{task}:有{things}最终失败",
        NoticeKind.GUARD_TRIPPED: "{task}:保护规则已停止运行",
        NoticeKind.EVENT_LAG: "{task}:事件处理滞后",
        NoticeKind.WORKER_LOST: "一台机器失去联系:{task}",
    },
    plural_titles={
        NoticeKind.RUN_FINISHED: "{task}:{count} 次运行已完成",
        NoticeKind.RUN_FAILED: "{task}:{count} 次运行失败",
        NoticeKind.COMPLETED_WITH_FAILURES: "{task}:{count} 次运行结束时有失败的{things}",
        NoticeKind.DEAD_LETTERS: "{task}:有{things}最终失败",
        NoticeKind.GUARD_TRIPPED: "{task}:保护规则已停止 {count} 次运行",
        NoticeKind.EVENT_LAG: "{task}:事件处理滞后",
        NoticeKind.WORKER_LOST: "{count} 台机器失去联系",
    },
    figures="已复制 {objects} 个{things},传输 {size},用时 {time}。",
    failed="失败的{things}:{failed} 个。",
    cause="{count} × {code}:{meaning}",
    keys="最先失败的{things}:",
    reason="原因({code}):{detail}",
    lag="最早的事件已等待 {time}。",
    lost="{host} 已没有心跳。它承载的 {runs} 次运行会在其他机器上继续。",
    first_only="数字仅统计前 {most} 次。",
    look="查看详情",
    trial_title="渠道 {name} 的测试消息",
    trial="这是一条测试消息。Data Transfer Hub 的通知会发送到这里。",
    codes={
        "no_credentials": "没有找到凭证",
        "bad_credentials": "存储不接受该密钥",
        "expired_credentials": "会话令牌已过期",
        "denied": "缺少权限",
        "no_bucket": "存储桶或文件夹不存在",
        "no_queue": "SQS 队列不存在",
        "wrong_region": "存储桶位于其他区域",
        "clock_skew": "本机时钟不准",
        "tls": "证书不受信任",
        "unreachable": "无法连接到存储",
        "timeout": "存储未及时响应",
        "transient": "存储或网络反复出现临时故障",
        "throttled": "存储要求降低请求速度",
        "garbled": "响应方不是 S3 存储",
        "listing_loops": "存储的列表没有终点",
        "store": "存储出错",
        "not_found": "对象已不存在",
        "changed": "对象变化太快,来不及复制",
        "archived": "对象需要先恢复",
        "unsupported": "目标无法保存这种对象",
        "bad_key": "目标无法保存这个键",
        "corrupt": "字节与校验和不符",
        "short_read": "存储返回的字节比承诺的少",
        "wrong_etag": "目标中的字节与写入的不同",
        "bad_part": "目标中的分段与发送的不同",
        "no_upload": "分段上传被他人终止",
        "disk_full": "磁盘已满",
        "no_registry": "响应方不是镜像仓库服务",
        "no_catalog": "该镜像仓库服务不列出其仓库",
        "no_repository": "镜像仓库不存在",
        "no_blob": "仓库中缺少镜像所需的内容",
        "not_verified": "副本的摘要与源镜像不一致",
        "bad_reference": "镜像仓库无法保存这个名称",
        "bad_manifest": "镜像仓库无法保存这种镜像",
        "nested_index": "这是由索引组成的索引",
        "no_platform": "没有适用于该平台的镜像",
        "immutable_tag": "标签已指向另一个镜像且不可更改",
        "quota": "已达到镜像仓库的限额",
        "gave_up": "所有尝试都已用完",
        "internal": "Data Transfer Hub 自身的错误",
    },
)

PHRASES: Mapping[Language, Phrases] = {Language.EN: _EN, Language.ZH: _ZH}
