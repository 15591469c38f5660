package outbox

// CodeMail returns the mail that brings a verification code. Programs read the first number of its text as the code, so
// no other digit stands there, and the code has a line of its own.
func CodeMail(to, code string) Message {
	return Message{
		Kind:    Mail,
		To:      to,
		Subject: "Parley 验证码 / verification code",
		Text: "您的 Parley 验证码 / Your Parley verification code:\n\n" +
			"    " + code + "\n\n" +
			"验证码十分钟内有效，请勿转告他人。如非您本人操作，请忽略此邮件。\n" +
			"The code is valid for ten minutes. Do not pass it on.\n" +
			"If you did not ask for it, ignore this mail.\n",
	}
}

// CodeSMS returns the text message that brings a verification code. What holds for the mail's text holds here; and it
// fits into one message, which has seventy characters if one of them is Chinese.
func CodeSMS(to, code string) Message {
	return Message{
		Kind: SMS,
		To:   to,
		Code: code,
		Text: "Parley 验证码 / code: " + code + " （十分钟内有效，请勿转告他人 / valid ten minutes）",
	}
}
