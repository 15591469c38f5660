package api

import "strings"

// guideTexts are the headings of the readable page in each language. What the routes and fields are is told in English.
var guideTexts = map[string]map[string]string{
	"en": {
		"title":      "Parley's interface",
		"intro":      "JSON over HTTP. Every answer is an envelope of code, message, data and timestamp; a failure has error in place of data.",
		"machine":    "The same for programs",
		"events":     "Live events come over the WebSocket /ws/events",
		"shell":      "In a shell",
		"contents":   "Contents",
		"types":      "Types",
		"everybody":  "for everybody",
		"linked":     "needs a token or a link",
		"users":      "needs a token",
		"admins":     "for administrators",
		"parameters": "Parameters",
		"body":       "Body",
		"answer":     "Answer",
		"name":       "Name",
		"type":       "Type",
		"about":      "About",
		"required":   "required",
		"example":    "for example",
		"nothing":    "no data",
		"list":       "list of",
		"text":       "text",
		"number":     "number",
		"boolean":    "true or false",
		"time":       "time (RFC 3339)",
		"any":        "any value",
		"path":       "in the path",
		"query":      "in the query",
		"json":       "",
		"language":   "中文",
	},
	"zh": {
		"title":      "Parley 接口",
		"intro":      "基于 HTTP 的 JSON 接口。每个回应都有 code、message、data 和 timestamp；失败时以 error 代替 data。",
		"machine":    "供程序读取的版本",
		"events":     "实时事件通过 WebSocket /ws/events 传送",
		"shell":      "在终端中",
		"contents":   "目录",
		"types":      "类型",
		"everybody":  "无需登录",
		"linked":     "需要令牌或链接",
		"users":      "需要令牌",
		"admins":     "仅限管理员",
		"parameters": "参数",
		"body":       "请求体",
		"answer":     "回应",
		"name":       "名称",
		"type":       "类型",
		"about":      "说明",
		"required":   "必填",
		"example":    "例如",
		"nothing":    "无数据",
		"list":       "列表：",
		"text":       "文本",
		"number":     "数字",
		"boolean":    "true 或 false",
		"time":       "时间（RFC 3339）",
		"any":        "任意值",
		"path":       "路径中",
		"query":      "查询中",
		"json":       "",
		"language":   "English",
	},
}

// titles are the Chinese names of the sections.
var titles = map[string]string{
	"openapi": "接口文档", "registration": "注册", "login": "登录", "tokens": "令牌", "passwords": "密码", "profile": "个人资料", "avatars": "头像",
	"account": "账号", "devices": "设备", "contacts": "联系人", "conversations": "会话", "messages": "消息", "search": "搜索", "reading": "已读",
	"rooms": "房间", "members": "成员", "invitations": "邀请", "files": "文件", "events": "实时事件", "presence": "在线状态",
	"administration": "管理", "reports": "举报", "settings": "设置", "inspection": "运行状况",
}

// titleOf names a section of the page.
func titleOf(lang, tag string) string {
	if lang == "en" && tag == "openapi" {
		return "OpenAPI"
	}
	if title := titles[tag]; lang == "zh" && title != "" {
		return title
	}
	return strings.ToUpper(tag[:1]) + tag[1:]
}
